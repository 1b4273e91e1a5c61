"""Lets OpenMMLab find this package's configs and classes, and silences notices of its imports."""
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
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
    VISUALIZERS='visualization.pixel_box_visualizer')  # imports the other one, too


def register_packages(table: dict[str, str]) -> None:
    """Enter the installed distributions into MMEngine's table, for ``_base_ = 'mmseg::...'``.

    MMEngine looks the configs of a package up under one fixed distribution name. The maintained
    OpenMMLab distributions have other names, and this package is not in the table (MMEngine's
    ``MODULE2PACKAGE``). A module without an installed distribution keeps its entry.
    """
    for module, names in DISTRIBUTIONS.items():
        table.setdefault(module, names[0])
        for name in reversed(names):
            with suppress(metadata.PackageNotFoundError):
                metadata.distribution(name)
                table[module] = name


def offer_classes(registries: ModuleType) -> None:
    """Name our subpackages to MMSegmentation's ``registries``.

    A registry imports its locations when the first class is looked up; one that has done so already
    gets ours at once.
    """
    for name, subpackage in LOCATIONS.items():
        registry, location = getattr(registries, name), f'mmseg_instbox.{subpackage}'
        if registry._imported:
            import_module(location)
        elif location not in registry._locations:
            registry._locations = [*registry._locations, location]


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Hide the notices of OpenMMLab's packages about optional parts that are not installed."""
    before = logging.root.manager.disable  # more than 0 inside another call
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)
        if 'mmengine.logging' in sys.modules:
            from mmengine.logging import MMLogger  # here, because it imports torch
            # these loggers would go on leaving out what they have left out once
            for logger in MMLogger._instance_dict.values():
                logger.setLevel(logger.level)
