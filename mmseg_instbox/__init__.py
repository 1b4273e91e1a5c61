"""Instance segmentation from pixel boxes, for MMSegmentation.

Importing the package lets MMSegmentation's registries find its classes, and configs inherit with
``mmseg::``, ``mmdet::`` and ``mmseg_instbox::``. It imports none of OpenMMLab's packages for that:
what is arranged here takes effect when they are imported, and our own subpackages are imported when
a registry looks a class up. So the command ``instbox`` starts at once.
"""
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from wrapt import when_imported

from .errors import InstBoxError
from .utils.openmmlab import offer_classes, register_packages
from .version import __version__

if TYPE_CHECKING:
    from . import apis, datasets, engine, evaluation, models, registry, visualization

SUBPACKAGES = ('apis', 'datasets', 'engine', 'evaluation', 'models', 'registry', 'visualization')

__all__ = ['InstBoxError', '__version__', *SUBPACKAGES]


@when_imported('mmengine.config.utils')
def _register_packages(module: ModuleType) -> None:
    register_packages(module.MODULE2PACKAGE)


@when_imported('mmseg.registry.registry')
def _offer_classes(module: ModuleType) -> None:
    offer_classes(module)


def __getattr__(name: str) -> ModuleType:
    """Import a subpackage when it is first used."""
    if name not in SUBPACKAGES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return import_module(f'.{name}', __name__)
