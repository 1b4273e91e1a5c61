"""Inference for users of trained models, and training on annotated images.

Names are imported when they are first used.
"""
import importlib
from typing import TYPE_CHECKING

from ..utils.openmmlab import quiet_imports

if TYPE_CHECKING:
    from ..engine.checkpoints import checkpoint_config, read_checkpoint
    from ..engine.model_index import find_model, list_models
    from ..utils.inputs import InputImage, read_inputs
    from .dataset_browser import DatasetBrowser, browse_dataset
    from .formats import FORMATS, samples_from_coco, to_supervision, write_results
    from .inst_box_inferencer import InstBoxInferencer
    from .model_loading import load_model
    from .own_data_training import TrainingOptions, train_on_data
    from .track_colors import TrackColors
    from .video import annotate_video

_PLACES = {
    'DatasetBrowser': 'dataset_browser',
    'FORMATS': 'formats',
    'InputImage': '.utils.inputs',
    'InstBoxInferencer': 'inst_box_inferencer',
    'TrackColors': 'track_colors',
    'TrainingOptions': 'own_data_training',
    'annotate_video': 'video',
    'browse_dataset': 'dataset_browser',
    'checkpoint_config': '.engine.checkpoints',
    'find_model': '.engine.model_index',
    'list_models': '.engine.model_index',
    'load_model': 'model_loading',
    'read_checkpoint': '.engine.checkpoints',
    'read_inputs': '.utils.inputs',
    'samples_from_coco': 'formats',
    'to_supervision': 'formats',
    'train_on_data': 'own_data_training',
    'write_results': 'formats',
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    """Imports a name of this package."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    with quiet_imports():
        return getattr(importlib.import_module(f'.{_PLACES[name]}', __name__), name)
