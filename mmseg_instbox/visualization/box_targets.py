"""Drawings of what a box head has to learn: a box for each cell of an instance, as numbers."""
import cv2
import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ..core.feature_grid import cell_points, sample_at_cells
from ..models.box_heads.pixel_box_head import PixelBoxHead, cell_boxes
from ..models.task_modules.box_coders import PixelBoxCoder
from .drawing import join_panels
from .vote_field import dim, draw_pointing, spread_cells

OPACITY = 0.8  # of a number's colour
PIXEL_BOX_NAMES = 'x to the centre', 'y to the centre', 'log width', 'log height'


def add_box_targets(sample: SegDataSample, box_head: PixelBoxHead,
                    grid_shape: tuple[int, int]) -> None:
    """Write on a training sample what the loss of a box head compares its output with.

    The sample gets ``gt_deltas``, the numbers of the head's coder, and ``gt_boxes``, the boxes in
    pixels of the input that the coder makes of them again: both ``(4, h, w)`` float32, nan in cells
    that carry no loss. Its metainfo gets ``delta_names``, what the four numbers mean. It has
    ``gt_inst_map`` ``(1, H, W)`` and ``gt_instances`` of the network's input; ``grid_shape`` is the
    ``(h, w)`` of the head's output.

    Raises:
        ValueError: The map holds an instance that ``gt_instances`` does not list.
    """
    valid, boxes = cell_boxes(sample, grid_shape)
    points = cell_points(grid_shape, sample.gt_inst_map.shape[-2:])[valid]
    deltas = box_head.coder.encode(points, boxes)
    targets = dict(gt_deltas=deltas, gt_boxes=box_head.coder.decode(points, deltas))
    for name, values in targets.items():
        grid = torch.full((4, *grid_shape), torch.nan)
        grid[:, valid] = values.T
        sample.set_field(PixelData(data=grid), name, dtype=PixelData)
    sample.set_metainfo(dict(delta_names=delta_names(box_head.coder)))


def draw_target_boxes(image: np.ndarray, sample: SegDataSample) -> np.ndarray:
    """Draw from the cells of each instance to the centre of the box that they have to learn, on an
    image that may be enlarged against the sample, which :func:`add_box_targets` prepared."""
    boxes = np.asarray(sample.gt_boxes.data)
    ids = np.asarray(sample_at_cells(sample.gt_inst_map.data[0], boxes.shape[1:]))
    groups = np.where(np.isnan(boxes[0]), -1, ids)
    factor = image.shape[0] / sample.gt_inst_map.shape[-2]
    return draw_pointing(image, np.nan_to_num(boxes) * factor, groups, image.shape[:2])


def draw_deltas(image: np.ndarray, deltas: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Draw ``deltas`` ``(4, h, w)`` float, nan for nothing, as four small maps of the image: blue
    below 0, red above, under their names with the least and the largest value."""
    from matplotlib import colormaps  # here: registries import this module at each start
    small = dim(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    panels, shape = {}, small.shape[:2]
    for name, values in zip(names, deltas, strict=True):
        is_known = ~np.isnan(values)
        known = values[is_known]
        span = f': {known.min():.2f} to {known.max():.2f}' if len(known) else ''
        share = np.nan_to_num(values / max(np.abs(known).max(initial=0), 1e-6) / 2) + 0.5
        colors = (colormaps['coolwarm'](share)[..., :3] * 255).astype(np.uint8)
        drawn = cv2.addWeighted(small, 1 - OPACITY, spread_cells(colors, shape, shape), OPACITY, 0)
        inside = spread_cells(is_known.astype(np.uint8), shape, shape) > 0
        panels[name + span] = np.where(inside[..., None], drawn, small)
    return cv2.resize(join_panels(panels, columns=2), image.shape[1::-1])


def delta_names(coder: object) -> tuple[str, ...]:
    """Give the names of the four numbers of a box coder."""
    if isinstance(coder, PixelBoxCoder):
        return PIXEL_BOX_NAMES
    return tuple(f'number {i + 1} of {type(coder).__name__}' for i in range(4))
