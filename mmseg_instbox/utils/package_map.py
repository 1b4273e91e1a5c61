"""Lets ``_base_ = 'mmseg::...'`` find its package, whatever distribution provides it.

MMEngine looks the configs of a package up under one fixed distribution name
(``mmengine.config.utils.MODULE2PACKAGE``). The maintained OpenMMLab distributions carry other names
(``onedl-*``), and this package is not in the table at all.
"""
from importlib import metadata

# module -> the names that its distribution goes by, the maintained one first
DISTRIBUTIONS = {
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mmseg_instbox': ('mmseg_instbox',),
}


def register_packages(table: dict[str, str]) -> None:
    """Enter the installed distributions into MMEngine's table.

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
