"""What the network says about each cell of an image, before cells are grouped."""
import math
from typing import NamedTuple

import torch
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError

from .shifted_copies import resize_grid

FLIPPED_DIMS = dict(horizontal=(-1, ), vertical=(-2, ), diagonal=(-2, -1))


class DensePrediction(NamedTuple):
    """Categories and boxes of one image, in pixels of the original image, unflipped.

    ``logits`` (C, h, w) cover ``logits_extent`` (H', W'); ``scores`` (C, h', w') category
    probabilities and ``boxes`` (4, h', w') cover ``extent``. Extents start at the image's corner
    and are at least the image, ``ori_shape`` (H, W).
    """
    logits: Tensor
    logits_extent: tuple[float, float]
    scores: Tensor
    boxes: Tensor
    extent: tuple[float, float]
    ori_shape: tuple[int, int]


def flipped_dims(metainfo: dict) -> tuple[int, ...]:
    """The dimensions along which a sample's image is flipped, negative.

    Raises:
        ValueError: A direction other than horizontal, vertical and diagonal.
    """
    if not metainfo.get('flip'):
        return ()
    direction = metainfo.get('flip_direction')
    if direction not in FLIPPED_DIMS:
        raise InvalidInputError('flip_direction of a flipped test image is one of '
                                f'{tuple(FLIPPED_DIMS)}, got {direction!r}; pack flip and '
                                'flip_direction in the test pipeline')
    return FLIPPED_DIMS[direction]


def move_padding(image: Tensor, img_shape: tuple[int, int], dims: tuple[int, ...]) -> Tensor:
    """Brings the padding of a flipped image to the sides from which it was flipped away.

    Unflipped, the image then lies at the top left as all others do, whatever its size, and its
    feature grid is theirs.

    Args:
        image: ``(3, H, W)``, padded at the right and bottom.
        img_shape: ``(h, w)`` of the image without padding.
        dims: The flipped dimensions, negative.
    """
    return torch.roll(image, [image.shape[dim] - img_shape[dim] for dim in dims], list(dims))


def unflip_boxes(boxes: Tensor, dims: tuple[int, ...], extent: tuple[int, int]) -> Tensor:
    """Boxes of an image from those of its mirror image.

    Args:
        boxes: ``(4, h, w)`` x1, y1, x2, y2 in pixels.
        dims: The flipped dimensions, negative.
        extent: ``(H, W)`` of the area that the grid covers.

    Returns:
        Tensor: ``(4, h, w)``.
    """
    x1, y1, x2, y2 = boxes
    if -1 in dims:
        x1, x2 = extent[1] - x2, extent[1] - x1
    if -2 in dims:
        y1, y2 = extent[0] - y2, extent[0] - y1
    return torch.stack([x1, y1, x2, y2]).flip(dims)


def crop_to_image(grid: Tensor, input_shape: tuple[int, int], img_shape: tuple[int, int],
                  ori_shape: tuple[int, int]) -> tuple[Tensor, tuple[float, float]]:
    """Cuts a feature grid to the cells that hold the image, without its padding.

    Args:
        grid: ``(C, h, w)`` over the padded network input.
        input_shape: ``(H, W)`` of the padded input.
        img_shape: ``(H, W)`` of the image in it, at the top left.
        ori_shape: ``(H, W)`` of the original image.

    Returns:
        tuple: The ``(C, h', w')`` grid and the size ``(H', W')`` in original pixels that it covers.
    """
    cells, extent = [], []
    for num, full, img, ori in zip(
            grid.shape[-2:], input_shape, img_shape, ori_shape, strict=True):
        step = full / num
        cells.append(min(math.ceil(img / step), num))
        extent.append(cells[-1] * step * ori / img)
    return grid[:, :cells[0], :cells[1]], tuple(extent)


def to_original(logits: Tensor, boxes: Tensor, input_shape: tuple[int, int],
                metainfo: dict) -> DensePrediction:
    """Maps what was predicted for a network input to its original image.

    Args:
        logits: ``(C, h, w)``.
        boxes: ``(4, h', w')`` in pixels of the input.
        input_shape: ``(H, W)`` of the input.
        metainfo: The sample's ``img_shape`` (without padding), ``ori_shape``, ``flip`` and
            ``flip_direction``; missing sizes mean ``input_shape``.

    Raises:
        ValueError: An unknown direction of flipping.
    """
    img_shape = tuple(metainfo.get('img_shape', input_shape)[:2])
    ori_shape = tuple(metainfo.get('ori_shape', img_shape)[:2])
    shapes = (input_shape, img_shape, ori_shape)
    dims = flipped_dims(metainfo)
    if dims:
        logits, boxes = logits.flip(dims), unflip_boxes(boxes, dims, input_shape)

    scores = resize_grid(logits[None], boxes.shape[-2:])[0].softmax(dim=0)
    scores, extent = crop_to_image(scores, *shapes)
    boxes, _ = crop_to_image(boxes, *shapes)
    scale = [ori / img for ori, img in zip(ori_shape, img_shape, strict=True)][::-1]
    boxes = boxes * boxes.new_tensor(scale * 2)[:, None, None]
    return DensePrediction(*crop_to_image(logits, *shapes), scores, boxes, extent, ori_shape)
