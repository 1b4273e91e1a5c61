"""Lets MMSegmentation's registries find the classes of this package."""
from importlib import import_module
from types import ModuleType

# registry -> the module whose import registers our classes with it
LOCATIONS = dict(
    DATASETS='datasets',
    DATA_SAMPLERS='engine',
    HOOKS='engine',
    METRICS='evaluation.metrics',
    MODELS='models',
    OPTIM_WRAPPERS='engine',
    TASK_UTILS='models',
    TRANSFORMS='datasets',
    VISUALIZERS='visualization')


def offer_classes(registries: ModuleType) -> None:
    """Name our rooms to the registries of MMSegmentation.

    A registry imports its locations when the first class is looked up, as it does with
    MMSegmentation's own. One that has done so already gets ours at once.

    Args:
        registries: The module ``mmseg.registry.registry``.
    """
    for name, room in LOCATIONS.items():
        registry, location = getattr(registries, name), f'mmseg_instbox.{room}'
        if registry._imported:
            import_module(location)
        elif location not in registry._locations:
            registry._locations = [*registry._locations, location]
