"""Scenes of rectangles, what a network that knows them says, and what must hold of any grouping."""
import math

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmseg_instbox.core import assignment
from mmseg_instbox.core.assignment import Agreement
from mmseg_instbox.core.feature_grid import cell_points, sample_at_cells

NUM_CLASSES = 5
THING_IDS = [1, 2, 4]  # 3 is no thing


def assign(iou: Tensor, num_cells: Tensor, min_gain: float,
           coverage: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """``assignment.assign`` of a whole table of IoU (K, n)."""
    candidates, cells = iou.nonzero(as_tuple=True)
    agreement = Agreement(cells, candidates, iou[candidates, cells])
    return assignment.assign(agreement, iou.shape[1], num_cells, min_gain, coverage)


def perfect_output(seg: Tensor, inst: Tensor, stride: int,
                   noise: float = 0) -> tuple[Tensor, Tensor]:
    """Probabilities (C, h, w) and boxes (4, h, w) of a network that knows the scene."""
    grid = (math.ceil(seg.shape[0] / stride), math.ceil(seg.shape[1] / stride))
    owner = sample_at_cells(inst, grid, void=0)
    label = torch.stack([seg[inst == index][0] for index in inst.unique()])
    label = label[torch.searchsorted(inst.unique(), owner)]
    probs = torch.nn.functional.one_hot(label, NUM_CLASSES).permute(2, 0, 1) * 0.8 + 0.04
    points = cell_points(grid, seg.shape)
    boxes = torch.cat([points - 6, points + 6], dim=-1)
    for index in inst.unique():
        y, x = (inst == index).nonzero().T
        box = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()
        boxes[owner == index] = box
    boxes += torch.randn(boxes.shape) * noise
    return probs, boxes.permute(2, 0, 1)


def scene(*rectangles: tuple[int, int, int, int, int], size=(64, 96)) -> tuple[Tensor, Tensor]:
    """Category and instance map of rectangles (category, x1, y1, x2, y2)."""
    seg, inst = torch.zeros(2, *size, dtype=torch.long)
    for index, (category, x1, y1, x2, y2) in enumerate(rectangles, start=1):
        seg[y1:y2, x1:x2], inst[y1:y2, x1:x2] = category, index
    return seg, inst


def mask_iou(mask: Tensor, other: Tensor) -> float:
    """IoU of two masks."""
    return ((mask & other).sum() / (mask | other).sum()).item()


def best_ious(inst: Tensor, result: InstanceData) -> list[float]:
    """For each true instance, the best IoU of a predicted mask."""
    true = torch.stack([inst == i for i in inst.unique() if i != 0]).flatten(1).float()
    masks = result.masks.flatten(1).float()
    inter = true @ masks.T
    union = true.sum(dim=1)[:, None] + masks.sum(dim=1)[None] - inter
    return (inter / union).amax(dim=1).tolist()


def check(result: InstanceData, img_shape: tuple[int, int]) -> None:
    """What must hold of any result."""
    num = len(result.labels)
    assert result.num_invalid >= 0
    assert result.masks.shape == (num, *img_shape) and result.masks.dtype == torch.bool
    assert result.labels.shape == (num, ) and result.labels.dtype == torch.int64
    assert result.scores.shape == (num, ) and result.scores.is_floating_point()
    assert result.bboxes.shape == (num, 4) and result.bboxes.dtype == torch.float32
    assert num == 0 or result.masks.sum(dim=0).max() <= 1
    assert torch.equal(result.scores, result.scores.sort(descending=True).values)
    assert ((result.scores >= 0) & (result.scores <= 1)).all()
    for mask, box in zip(result.masks, result.bboxes.tolist(), strict=True):
        y, x = mask.nonzero().T
        assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def random_crowd(seed: int, num: int = 8) -> tuple[Tensor, Tensor]:
    """Overlapping rectangles of two categories."""
    generator = torch.Generator().manual_seed(seed)
    rectangles = []
    for _ in range(num):
        x, y, w, h, c = (
            int(torch.randint(0, n, (1, ), generator=generator)) for n in (76, 44, 40, 30, 2))
        rectangles.append((1 + c, x, y, x + 14 + w, y + 14 + h))
    return scene(*rectangles)
