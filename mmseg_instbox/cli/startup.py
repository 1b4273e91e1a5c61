"""Imports the package, which takes seconds, without the notices of its dependencies."""
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module

import click

from ..utils.openmmlab import LOCATIONS, quiet_imports


def load_package(*modules: str, mask_heads: bool = True) -> None:
    """Imports modules of the package, by default what a training needs, and prepares the process.

    Hides the notices of MMSegmentation and MMDetection about optional parts that are not installed,
    which this package does not need. The registries import further modules when they need them.
    Without ``mask_heads`` the heads of MaskFormer, which take no box head, cannot be built.
    """
    import cv2
    from mmengine.logging import MMLogger
    MMLogger.get_current_instance()  # so that its handler writes to the current stream
    with quiet_imports(), nullcontext() if mask_heads else _without_mmdet_models():
        for module in modules or ('registry', 'engine.training', *LOCATIONS.values()):
            import_module(f'mmseg_instbox.{module}')
    # their warnings when a model is built concern defaults that our configs set, and those of
    # Pillow EXIF data that nothing here needs
    warnings.filterwarnings('ignore', category=UserWarning, module=r'(mm(cv|seg|det)|PIL)\.')
    cv2.setNumThreads(0)  # OpenCV's own threads deadlock in forked data loader workers


@contextmanager
def _without_mmdet_models() -> Iterator[None]:
    """Keeps ``mmseg.models`` from importing ``mmdet.models``, which two heads of it extend."""
    # an import of None raises ModuleNotFoundError
    imported = sys.modules.setdefault('mmdet.models', None)
    try:
        yield
    finally:
        if imported is None:
            del sys.modules['mmdet.models']


def announce_device() -> None:
    """Prints a note if there is no GPU."""
    from mmengine.device import get_device
    if get_device() == 'cpu':
        click.echo('No GPU here: this runs on the CPU.', err=True)
