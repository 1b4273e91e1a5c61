"""Groupers by their name, without a registry."""
from collections.abc import Mapping
from typing import Any

from mmseg_instbox.errors import InvalidInputError

from .base_grouper import BaseGrouper
from .box_nms_grouper import BoxNMSGrouper
from .centre_grouper import CentreGrouper
from .pixel_box_grouper import PixelBoxGrouper

GROUPERS = {cls.__name__: cls for cls in (BoxNMSGrouper, CentreGrouper, PixelBoxGrouper)}


def build_grouper(config: Mapping[str, Any]) -> BaseGrouper:
    """The grouper of a config.

    Args:
        config: ``type``, a name of ``GROUPERS``, and the arguments of that class.

    Raises:
        ValueError: An unknown type, or arguments that it does not take.
    """
    arguments = dict(config)
    kind = str(arguments.pop('type', None)).removeprefix('mmseg.')
    if kind not in GROUPERS:
        raise InvalidInputError(f'There is no grouper {kind!r} outside the registry; expected one '
                                f'of {", ".join(GROUPERS)}.')
    try:
        return GROUPERS[kind](**arguments)
    except TypeError as error:
        raise InvalidInputError(f'{kind} does not take these options: {error}.') from error
