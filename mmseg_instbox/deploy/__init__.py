"""Models as ONNX and OpenVINO files: exporting them, and running them without OpenMMLab.

Names are imported when they are first used, so that running a model does not import the exporter.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .export_settings import ExportSettings
    from .exported_model import ExportedModel
    from .exporting import export_model

_PLACES = {
    'ExportedModel': 'exported_model',
    'ExportSettings': 'export_settings',
    'export_model': 'exporting',
}

__all__ = ['ExportSettings', 'ExportedModel', 'export_model']


def __getattr__(name: str) -> object:
    """Imports a name of this package."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_PLACES[name]}', __name__), name)
