"""Instance segmentation from pixel boxes, for MMSegmentation.

Importing the package lets MMSegmentation's registries find its classes, and configs inherit with
``mmseg::``, ``mmdet::`` and ``mmseg_instbox::``. It imports none of OpenMMLab's packages for that:
what is arranged here takes effect when somebody imports them, and our own rooms are imported when
a registry looks a class up. So the command ``instbox`` starts at once.
"""
from importlib import import_module
from types import ModuleType

from wrapt import when_imported

from .errors import InstBoxError
from .utils.class_locations import offer_classes
from .utils.package_map import register_packages
from .version import __version__

ROOMS = ('apis', 'datasets', 'engine', 'evaluation', 'models', 'registry', 'visualization')

__all__ = ['InstBoxError', '__version__', *ROOMS]


@when_imported('mmengine.config.utils')
def _register_packages(module: ModuleType) -> None:
    register_packages(module.MODULE2PACKAGE)


@when_imported('mmseg.registry.registry')
def _offer_classes(module: ModuleType) -> None:
    offer_classes(module)


def __getattr__(name: str) -> ModuleType:
    """Imports a room of the package when it is first used."""
    if name not in ROOMS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return import_module(f'.{name}', __name__)
