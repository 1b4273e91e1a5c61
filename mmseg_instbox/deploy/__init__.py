"""Models as ONNX and OpenVINO files: exporting them, and running them without OpenMMLab.

Names are imported when they are first used, so that running a model does not import the exporter.
"""
from typing import TYPE_CHECKING

from ..utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from .export_settings import ExportSettings
    from .exported_model import ExportedModel
    from .exporting import export_model

__getattr__, __all__ = lazy_names(__name__)
