"""The settings of an exported model beside its graph, and how they prepare images for it.

They are stored in the file as JSON, and checked when they are read.
"""
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.dense_prediction import check_test_cfg
from ..core.groupers import build_grouper
from ..errors import BrokenExportError
from ..utils.foreign_errors import convert_errors, reason

VERSION = 1
TEST_CFG = ('mode', 'crop_size', 'stride', 'shifts')


@dataclass(frozen=True)
class ExportSettings:
    """How images become the graph's input, and its outputs instances.

    Attributes:
        dataset_meta: ``classes`` (C names), ``palette`` (C RGB values), ``thing_classes``.
        thing_ids: Indices of the categories that have instances.
        mean: Of the three channels, subtracted from pixels of 0 to 255.
        std: Of the three channels, divides the difference.
        bgr_to_rgb: Whether the channels of ``mean`` and the graph are RGB instead of BGR.
        padding: ``size_divisor`` or ``size`` (H, W) to which inputs are padded at the right and
            bottom, and ``value`` of the padding, after normalisation.
        resize: ``scale`` (w, h) and ``keep_ratio`` of MMCV's ``Resize``; None keeps the size.
        test_cfg: ``mode``, ``crop_size``, ``stride`` and ``shifts`` of ``InstBoxSegmentor``.
        grouper: Config of the grouper.
    """
    dataset_meta: dict[str, Any]
    thing_ids: list[int]
    mean: list[float]
    std: list[float]
    bgr_to_rgb: bool
    padding: dict[str, Any]
    resize: dict[str, Any] | None
    test_cfg: dict[str, Any]
    grouper: dict[str, Any]

    def to_json(self) -> str:
        """Returns the settings as JSON."""
        return json.dumps(dict(asdict(self), version=VERSION), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str) -> 'ExportSettings':
        """Reads what :meth:`to_json` returned; raises a BrokenExportError that names ``source`` if
        the text is of another version, or a value is invalid."""
        problem = f'{source}: the settings in it cannot be read; export the model again'
        with convert_errors(problem, to=BrokenExportError):
            content = json.loads(text)
            if content.pop('version') != VERSION:
                raise BrokenExportError(f'{problem}: they are of another version than {VERSION}.')
            settings = cls(**content)
        if invalid := settings.find_invalid():
            raise BrokenExportError(f'{source}: its settings are invalid ({invalid}); export the '
                                    'model again.')
        return settings

    def find_invalid(self) -> str | None:
        """Returns which value is invalid, or why; None if all are valid."""
        try:
            for name, holds in self._conditions():
                if not holds:
                    return f'invalid {name}'
            check_test_cfg(self.test_cfg)
            build_grouper(self.grouper)
        except Exception as error:
            return reason(error)
        return None

    def _conditions(self) -> Iterator[tuple[str, bool]]:
        """Names of values, and whether these are valid; values of other types raise any error."""
        meta, padding, resize = self.dataset_meta, self.padding, self.resize
        classes, palette, ids = meta['classes'], meta['palette'], self.thing_ids
        yield 'classes', len(classes) > 1 and all(isinstance(each, str) for each in classes)
        yield 'palette', len(palette) == len(classes) and all(
            _are_numbers(each, 3, 0, 255) for each in palette)
        yield 'thing_ids', len(ids) > 0 and _are_numbers(ids, len(ids), 0, len(classes) - 1, [int])
        yield 'thing_classes', list(meta['thing_classes']) == [classes[index] for index in ids]
        yield 'mean', _are_numbers(self.mean, 3)
        yield 'std', _are_numbers(self.std, 3, 1e-9)
        yield 'bgr_to_rgb', isinstance(self.bgr_to_rgb, bool)
        key, = set(padding) - {'value'}
        yield 'padding', _are_numbers([padding['value']], 1) and (
            _are_numbers([padding[key]], 1, 1, 4096, [int]) if key == 'size_divisor' else
            key == 'size' and _are_numbers(padding[key], 2, 1, 1e5, [int]))
        yield 'resize', resize is None or (
            set(resize) == {'scale', 'keep_ratio'} and isinstance(resize['keep_ratio'], bool)
            and _are_numbers(resize['scale'], 2, 1, 1e5, [int]))
        yield 'test_cfg', isinstance(self.test_cfg, dict) and set(self.test_cfg) <= set(TEST_CFG)
        yield 'grouper', isinstance(self.grouper['type'], str)


def _are_numbers(values: Any, count: int, low: float = -1e9, high: float = 1e9,
                 kinds: Sequence[type] = (int, float)) -> bool:
    """Whether this is a list of ``count`` numbers from ``low`` to ``high``, of some types."""
    return isinstance(values, list) and len(values) == count and all(
        type(each) in kinds and low <= each <= high for each in values)


def resize_image(image: np.ndarray, settings: ExportSettings) -> np.ndarray:
    """Resizes an image (H, W, 3) uint8 as MMCV's ``Resize`` does."""
    if settings.resize is None:
        return image
    width, height = settings.resize['scale']
    if settings.resize['keep_ratio']:
        sides, scale = image.shape[:2], (width, height)
        factor = min(max(scale) / max(sides), min(scale) / min(sides))
        height, width = (max(int(side * factor + 0.5), 1) for side in sides)
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def normalise(images: Sequence[np.ndarray], settings: ExportSettings) -> Tensor:
    """Normalises and pads images (H, W, 3) uint8 BGR of one size.

    Returns:
        Tensor: ``(N, 3, H', W')`` float32, padded at the right and bottom.
    """
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    if settings.bgr_to_rgb:
        batch = batch.flip(1)
    mean, std = (torch.tensor(each, dtype=torch.float32)[:, None, None]
                 for each in (settings.mean, settings.std))
    batch = (batch.to(torch.float32, memory_format=torch.contiguous_format) - mean) / std
    height, width = padded_shape(batch.shape[-2:], settings)
    padding = (0, width - batch.shape[3], 0, height - batch.shape[2])
    return F.pad(batch, padding, value=settings.padding['value'])


def padded_shape(shape: Sequence[int], settings: ExportSettings) -> tuple[int, int]:
    """Returns the (height, width) of the network's input for images of a (height, width)."""
    if 'size' in settings.padding:
        return tuple(max(side, full)
                     for side, full in zip(shape, settings.padding['size'], strict=True))
    divisor = settings.padding['size_divisor']
    return tuple(-(-side // divisor) * divisor for side in shape)
