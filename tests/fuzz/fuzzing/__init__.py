"""Formats that strangers write, and how each is damaged, read and judged.

A format is a class with a folder for its files. ``write(rng)`` puts one damaged input there;
``read()`` gives it to the package and raises ``WrongResult`` if what comes out cannot be right.
"""
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np


class WrongResult(Exception):
    """A reader took an input and made something of it that cannot be right."""


class Format(Protocol):
    """What each format does."""

    def __init__(self, folder: Path) -> None:
        """Prepare sound inputs in an empty folder."""

    def write(self, rng: np.random.Generator) -> None:
        """Write a damaged input."""

    def read(self) -> None:
        """Read it; raises ``InstBoxError`` where it is refused, ``WrongResult`` where it is not and
        should have been."""


# name -> module and class; a module is imported when its format is used
FORMATS = dict(
    jpeg='images.Jpeg',
    png='images.Png',
    mask='masks.VocMask',
    cityscapes='masks.CityscapesMask',
    voc_list='lists.VocList',
    coco='coco.CocoJson',
    sbd='matlab.SbdMat',
    config='models.ConfigFile',
    checkpoint='models.Checkpoint',
    exported='models.Exported')


def open_format(name: str, folder: Path) -> Format:
    """Prepare a format in an empty folder.

    Args:
        name: A key of ``FORMATS``.
        folder: It is made.
    """
    module, kind = FORMATS[name].split('.')
    folder.mkdir(parents=True, exist_ok=True)
    return getattr(import_module(f'.{module}', __name__), kind)(folder)


def require(condition: object, sentence: str) -> None:
    """Raise WrongResult with a sentence unless a condition holds."""
    if not condition:
        raise WrongResult(sentence)
