"""Inference for users of trained models, and training on annotated images.

Names are imported when they are first used.
"""
from typing import TYPE_CHECKING

from ..utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from ..engine.checkpoints import checkpoint_config, read_checkpoint
    from ..engine.model_index import find_model, list_models
    from ..engine.model_loading import load_model
    from ..utils.inputs import InputImage, read_inputs
    from .dataset_browser import DatasetBrowser, browse_dataset
    from .formats import FORMATS, samples_from_coco, to_supervision, write_results
    from .inst_box_inferencer import InstBoxInferencer
    from .own_data_training import train_on_data
    from .video import TrackColors, annotate_video

__getattr__, __all__ = lazy_names(__name__)
