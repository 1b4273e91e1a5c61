"""Masks cropped to their boxes, and COCO's run-length encoding of masks."""
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from pycocotools import mask as mask_tools

MAX_DIGITS = 12  # of a run length in a compressed encoding, five bits each


class Crop(NamedTuple):
    """A mask cut to its box: ``pixels`` (h, w) bool, of which the first lies in the column ``left``
    and the row ``top`` of the image. Without pixels, h and w are 0."""
    pixels: np.ndarray
    left: int
    top: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the image that the crop covers."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def mask_crops(masks: Any) -> Iterator[Crop]:
    """Yields masks one by one, cropped to their boxes.

    Args:
        masks: :class:`~mmseg_instbox.core.instances.InstanceMasks`, of which no full plane is made;
            ``(N, H, W)`` bool, an array or a tensor on the CPU; or a sequence of arrays ``(H, W)``
            bool or of COCO's run lengths.
    """
    inst_map = getattr(masks, 'inst_map', None)
    if inst_map is None:
        yield from (decode_crop(mask) if isinstance(mask, dict) else crop_mask(mask)
                    for mask in masks)
        return
    inst_map = inst_map.numpy()
    for number, (x1, y1, x2, y2) in zip(masks.numbers.tolist(), masks.boxes.tolist(), strict=True):
        yield Crop(inst_map[y1:y2, x1:x2] == number, x1, y1)


def crop_mask(mask: Any) -> Crop:
    """Crops a mask ``(H, W)`` bool to the box of its pixels."""
    pixels = np.ascontiguousarray(mask, dtype=bool)
    left, top, width, height = cv2.boundingRect(pixels.view(np.uint8))
    return Crop(pixels[top:top + height, left:left + width].copy(), left, top)


def encode_crop(crop: Crop, shape: tuple[int, int]) -> dict[str, Any]:
    """Encodes a crop of an image of a shape ``(H, W)`` as :func:`encode_mask` does its mask."""
    height, width = shape
    columns = np.pad(crop.pixels.T, ((0, 0), (1, 1)))
    column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])
    changes = (column + crop.left) * height + row + crop.top  # where runs begin and end, in turns
    joined = np.flatnonzero(changes[1:] == changes[:-1])  # a run goes on in the next column
    changes = np.delete(changes, [joined, joined + 1])
    counts = np.diff(changes, prepend=0, append=height * width)
    counts = counts[:len(counts) - (counts[-1] == 0)].tolist()
    code = mask_tools.frPyObjects(dict(size=[height, width], counts=counts), height, width)
    return dict(size=[height, width], counts=code['counts'].decode())


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Encodes a mask ``(H, W)`` bool as ``size`` (H, W) and a string ``counts``, for JSON."""
    code = mask_tools.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=[int(length) for length in code['size']], counts=code['counts'].decode())


def decode_mask(code: dict[str, Any]) -> np.ndarray:
    """Decodes run lengths with ``size`` and ``counts`` to a mask ``(H, W)`` bool."""
    return mask_tools.decode(code).astype(bool)


def decode_crop(code: dict[str, Any]) -> Crop:
    """Decodes run lengths as :func:`decode_mask`, but only the columns of the image that the mask
    lies in: small masks of a large image a thousand times as fast."""
    left, top, width, height = mask_tools.toBbox(code).astype(int).tolist()
    rows, counts = code['size'][0], code['counts']
    runs = np.array(decompress_counts(counts.decode() if isinstance(counts, bytes) else counts))
    runs[0] -= left * rows  # the columns before it, in which nothing is set
    length = width * rows
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, np.minimum(runs, length))[:length]
    return Crop(columns.reshape(width, rows).T[top:top + height], left, top)


def decompress_counts(text: str) -> list[int] | None:
    """Run lengths of a compressed encoding (``rleFrString`` of COCO's ``maskApi.c``), or None.

    It has five bits a character from '0' on, 32 marking that a run goes on in the next; from the
    fourth on, runs are differences to the run two before.
    """
    runs, value, shift = [], 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift >= 5 * MAX_DIGITS:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return None if shift else runs
