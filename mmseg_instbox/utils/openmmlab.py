"""Lets OpenMMLab find this package: its configs by ``_base_``, its classes in the registries."""
from importlib import import_module, metadata
from types import ModuleType

# module -> the names that its distribution goes by, the maintained one first
DISTRIBUTIONS = {
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mmseg_instbox': ('mmseg_instbox',),
}
# registry -> the subpackage whose import registers our classes with it
LOCATIONS = dict(
    DATASETS='datasets.registered',
    DATA_SAMPLERS='engine.samplers',
    HOOKS='engine.hooks',
    LOOPS='engine.loops',
    METRICS='evaluation.metrics',
    MODELS='models',
    OPTIM_WRAPPERS='engine.optim_wrappers',
    TASK_UTILS='models',
    TRANSFORMS='datasets.registered',
    VISUALIZERS='visualization')


def register_packages(table: dict[str, str]) -> None:
    """Enter the installed distributions into MMEngine's table.

    MMEngine looks the configs of a package up under one fixed distribution name. The maintained
    OpenMMLab distributions have other names (``onedl-*``), and this package is not in the table.
    Afterwards a config may inherit with ``mmseg::``, ``mmdet::`` and ``mmseg_instbox::``. A module
    without an installed distribution keeps its entry; ``mmseg_instbox`` then goes by its module
    name, which MMEngine resolves by import.

    Args:
        table: ``mmengine.config.utils.MODULE2PACKAGE``, changed in place.
    """
    for module, names in DISTRIBUTIONS.items():
        installed = [name for name in names if _is_distribution(name)]
        if installed:
            table[module] = installed[0]
        else:
            table.setdefault(module, names[0])


def _is_distribution(name: str) -> bool:
    """Whether pip knows a distribution of this name."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def offer_classes(registries: ModuleType) -> None:
    """Name our subpackages to the registries of MMSegmentation.

    A registry imports its locations when the first class is looked up, as it does with
    MMSegmentation's own. One that has done so already gets ours at once.

    Args:
        registries: The module ``mmseg.registry.registry``.
    """
    for name, subpackage in LOCATIONS.items():
        registry, location = getattr(registries, name), f'mmseg_instbox.{subpackage}'
        if registry._imported:
            import_module(location)
        elif location not in registry._locations:
            registry._locations = [*registry._locations, location]
