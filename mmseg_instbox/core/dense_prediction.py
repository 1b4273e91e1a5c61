"""Categories and boxes of each cell of whole images, before cells are grouped.

    input, padded and perhaps mirrored        (N, 3, H, W)
      -> whole, in tiles, by shifted copies   logits (N, C, h, w), boxes (N, 4, h', w')
      -> mirrored back, padding cut off, scaled to the original image    DensePrediction
"""
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from .feature_grid import resize_grid
from .tiles_and_shifts import feature_strides, forward_shifted, forward_tiled

FLIPPED_DIMS = dict(horizontal=(-1, ), vertical=(-2, ), diagonal=(-2, -1))


class DensePrediction(NamedTuple):
    """Categories and boxes of one image, in pixels of the original image, unflipped.

    ``logits`` (C, h, w) cover ``logits_extent`` (H', W'); category probabilities ``probs``
    (C, h', w') and ``boxes`` (4, h', w') cover ``extent``. Extents start at the image's corner and
    are at least the image, ``ori_shape`` (H, W).
    """
    logits: Tensor
    logits_extent: tuple[float, float]
    probs: Tensor
    boxes: Tensor
    extent: tuple[float, float]
    ori_shape: tuple[int, int]


class DensePredictor:
    """Predicts the cells of images with a network, in the ways that its ``test_cfg`` knows.

    A class that extends it has :meth:`forward_dense` and ``test_cfg``, whose ``mode``,
    ``crop_size``, ``stride`` and ``shifts`` are read as ``InstBoxSegmentor`` describes them.
    """
    test_cfg: Mapping[str, Any]
    _strides: tuple[int, int] | None = None

    def forward_dense(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(N, C, h, w)``, and boxes ``(N, 4, h', w')`` in pixels of ``inputs``, from
        normalised images ``(N, 3, H, W)``: one pass of the network."""
        raise NotImplementedError(f'{type(self).__name__} must implement forward_dense')

    def predict_cells(self, inputs: Tensor, metainfos: list[dict]) -> list[DensePrediction]:
        """Categories and boxes of each cell, as ``test_cfg`` says, without grouping.

        Args:
            inputs: ``(N, 3, H, W)``, padded at the right and bottom only.
            metainfos: ``img_shape`` (without padding), ``pad_shape`` (that the network sees),
                ``ori_shape``, ``flip`` and ``flip_direction`` of each; missing sizes mean that of
                ``inputs``.

        Returns:
            list[DensePrediction]: In pixels of the original images, mirror images mapped back.

        Raises:
            ValueError: ``test_cfg.shifts`` or ``mode='slide'`` and a network whose feature stride
                does not allow it, or an unknown direction of flipping.
        """
        sizes = [tuple((meta.get('pad_shape') or inputs.shape[-2:])[:2]) for meta in metainfos]
        if len(set(sizes)) < 2:
            return self._predict_together(inputs, metainfos)
        found = {}  # more padding would change what the network sees
        for height, width in set(sizes):
            own = [i for i, size in enumerate(sizes) if size == (height, width)]
            dense = self._predict_together(inputs[own, :, :height, :width],
                                           [metainfos[i] for i in own])
            found.update(zip(own, dense, strict=True))
        return [found[i] for i in range(len(sizes))]

    def _predict_together(self, inputs: Tensor, metainfos: list[dict]) -> list[DensePrediction]:
        """As :meth:`predict_cells`, in one batch."""
        full_shape = tuple(inputs.shape[-2:])
        metainfos = [dict(img_shape=full_shape) | meta for meta in metainfos]
        forward, shifts = self.forward_dense, self.test_cfg.get('shifts', 1)
        tiled = self.test_cfg.get('mode') == 'slide'
        if tiled or shifts > 1:
            if self._strides is None:
                self._strides = feature_strides(forward, inputs)
            coarser = max(self._strides)
            inputs = F.pad(inputs, (0, -full_shape[1] % coarser, 0, -full_shape[0] % coarser))
            if tiled:
                forward = partial(forward_tiled, forward, crop_size=self.test_cfg['crop_size'],
                                  step=self.test_cfg['stride'], stride=coarser)
            if shifts > 1:
                forward = partial(forward_shifted, forward, stride=self._strides[1], num=shifts)
        dims = [flipped_dims(meta) for meta in metainfos]
        if any(dims):
            inputs = torch.stack([move_padding(image, meta['img_shape'], dim) for image, meta, dim
                                  in zip(inputs, metainfos, dims, strict=True)])
        logits, boxes = forward(inputs)
        if boxes.device.type == 'mps':  # an Apple GPU lacks float64, in which votes are summed
            logits, boxes = logits.cpu(), boxes.cpu()
        input_shape = tuple(inputs.shape[-2:])
        return [to_original(logit, box, input_shape, meta)
                for logit, box, meta in zip(logits, boxes, metainfos, strict=True)]


def check_test_cfg(test_cfg: Mapping[str, Any]) -> None:
    """Raises a ValueError for settings of ``InstBoxSegmentor.test_cfg`` that cannot be."""
    mode, shifts = test_cfg.get('mode', 'whole'), test_cfg.get('shifts', 1)
    if mode not in ('whole', 'slide'):
        raise InvalidInputError(f"test_cfg.mode is 'whole' or 'slide', got {mode!r}")
    if not isinstance(shifts, int) or shifts < 1:
        raise InvalidInputError('test_cfg.shifts is a number of copies a direction, 1 or more, got '
                                f'{shifts!r}')
    if mode == 'whole':
        return
    sizes = [test_cfg.get(key) for key in ('crop_size', 'stride')]
    if not all(isinstance(size, tuple | list) and len(size) == 2
               and all(isinstance(side, int) and side > 0 for side in size) for size in sizes):
        raise InvalidInputError("test_cfg of mode='slide' needs crop_size=(height, width) and "
                                f'stride=(down, right) in pixels, got crop_size={sizes[0]!r} and '
                                f'stride={sizes[1]!r}')
    if any(step > size for size, step in zip(*sizes, strict=True)):
        raise InvalidInputError(f'test_cfg.stride {sizes[1]} leaves gaps between tiles of '
                                f'crop_size {sizes[0]}: it must not be larger')


def flipped_dims(metainfo: dict) -> tuple[int, ...]:
    """The dimensions along which a sample's image is flipped, negative; ValueError for an unknown
    direction."""
    if not metainfo.get('flip'):
        return ()
    direction = metainfo.get('flip_direction')
    if direction not in FLIPPED_DIMS:
        raise InvalidInputError('flip_direction of a flipped test image is one of '
                                f'{tuple(FLIPPED_DIMS)}, got {direction!r}; pack flip and '
                                'flip_direction in the test pipeline')
    return FLIPPED_DIMS[direction]


def move_padding(image: Tensor, img_shape: tuple[int, int], dims: tuple[int, ...]) -> Tensor:
    """Brings the padding of a flipped image ``(3, H, W)`` from the right and bottom to the sides
    from which it was flipped away.

    Unflipped, the image of ``img_shape`` then lies at the top left as all others do, and its
    feature grid is theirs. ``dims`` are the flipped dimensions, negative.
    """
    for dim in dims:
        image = image.roll(image.shape[dim] - img_shape[dim], dim)
    return image


def unflip_boxes(boxes: Tensor, dims: tuple[int, ...], extent: tuple[int, int]) -> Tensor:
    """Boxes ``(4, h, w)`` of an image from those of its mirror image, flipped along ``dims``
    (negative); ``extent`` ``(H, W)`` are the pixels that the grid covers."""
    x1, y1, x2, y2 = boxes
    if -1 in dims:
        x1, x2 = extent[1] - x2, extent[1] - x1
    if -2 in dims:
        y1, y2 = extent[0] - y2, extent[0] - y1
    return torch.stack([x1, y1, x2, y2]).flip(dims)


def crop_to_image(grid: Tensor, input_shape: tuple[int, int], img_shape: tuple[int, int],
                  ori_shape: tuple[int, int]) -> tuple[Tensor, tuple[float, float]]:
    """Cuts a feature grid ``(C, h, w)`` over the padded input to the cells ``(C, h', w')`` of the
    image at its top left; also gives the size ``(H', W')`` in original pixels that they cover."""
    cells, extent = [], []
    for num, full, img, ori in zip(
            grid.shape[-2:], input_shape, img_shape, ori_shape, strict=True):
        step = full / num
        cells.append(min(math.ceil(img / step), num))
        extent.append(cells[-1] * step * ori / img)
    return grid[:, :cells[0], :cells[1]], tuple(extent)


def to_original(logits: Tensor, boxes: Tensor, input_shape: tuple[int, int],
                metainfo: dict) -> DensePrediction:
    """Maps logits ``(C, h, w)`` and boxes ``(4, h', w')`` of an input of ``input_shape`` to its
    original image; ``metainfo`` as of :meth:`DensePredictor.predict_cells`, with ``img_shape``."""
    img_shape = tuple(metainfo['img_shape'][:2])
    ori_shape = tuple(metainfo.get('ori_shape', img_shape)[:2])
    shapes = (input_shape, img_shape, ori_shape)
    dims = flipped_dims(metainfo)
    if dims:
        logits, boxes = logits.flip(dims), unflip_boxes(boxes, dims, input_shape)

    probs = resize_grid(logits[None], boxes.shape[-2:])[0].softmax(dim=0)
    probs, extent = crop_to_image(probs, *shapes)
    boxes, _ = crop_to_image(boxes, *shapes)
    scale = [ori / img for ori, img in zip(ori_shape, img_shape, strict=True)][::-1]
    boxes = boxes * boxes.new_tensor(scale * 2)[:, None, None]
    return DensePrediction(*crop_to_image(logits, *shapes), probs, boxes, extent, ori_shape)
