"""Models as ONNX and OpenVINO files: writing them, and running them without OpenMMLab.

Names are imported when they are first used, so that what runs a model does not import what
exports one.
"""
import importlib

_PLACES = {
    'ExportedModel': 'exported_model',
    'ExportSettings': 'export_settings',
    'export_model': 'exporting',
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    """Imports a name of this package."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_PLACES[name]}', __name__), name)
