"""Instance segmentation from pixel boxes, for MMSegmentation.

Importing the package lets MMSegmentation's registries find its classes, and configs inherit with
``mmseg::``, ``mmdet::`` and ``mmseg_instbox::``. It imports none of OpenMMLab's packages for that:
what is arranged here takes effect when they are imported, and our own subpackages are imported when
a registry looks a class up. So the command ``instbox`` starts at once.
"""
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from wrapt import when_imported

from .errors import InstBoxError
from .utils.lazy_names import lazy_names
from .utils.openmmlab import offer_classes, register_packages
from .version import __version__

if TYPE_CHECKING:
    from . import apis, datasets, engine, evaluation, models, registry, visualization

__getattr__, _subpackages = lazy_names(__name__)
__all__ = ['InstBoxError', '__version__', *_subpackages]


@when_imported('mmengine.config.utils')
def _register_packages(module: ModuleType) -> None:
    register_packages(module.MODULE2PACKAGE)


@when_imported('mmseg.registry.registry')
def _offer_classes(module: ModuleType) -> None:
    offer_classes(module)


@when_imported('mmengine.runner.activation_checkpointing')
def _checkpoint_any_part(module: ModuleType) -> None:
    # by default a part learns nothing if its input has no gradient (after frozen stages) or is a
    # tuple (heads and necks)
    module.checkpoint = partial(module.checkpoint, use_reentrant=False)
