"""What users of trained models call. Names are imported when they are first used."""
import importlib

_PLACES = {
    'DatasetBrowser': 'dataset_browser',
    'FORMATS': 'formats',
    'InputImage': 'inputs',
    'InstBoxInferencer': 'inst_box_inferencer',
    'TrackColors': 'track_colors',
    'annotate_video': 'video',
    'browse_dataset': 'dataset_browser',
    'checkpoint_config': '.engine.checkpoints',
    'find_model': '.engine.model_index',
    'list_models': '.engine.model_index',
    'load_model': 'model_loading',
    'read_checkpoint': '.engine.checkpoints',
    'read_inputs': 'inputs',
    'samples_from_coco': 'formats',
    'to_supervision': 'formats',
    'write_results': 'formats',
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    """Imports a name of this package."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_PLACES[name]}', __name__), name)
