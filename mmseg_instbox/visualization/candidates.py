"""Drawings of candidate instances: the boxes on which the votes of an image's cells agree."""
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from mmseg_instbox.core.base_grouper import find_cells
from mmseg_instbox.core.box_iou import box_iou
from mmseg_instbox.core.grouping import Candidates
from mmseg_instbox.core.pixel_box_grouper import PixelBoxGrouper

from .drawing import draw_labels, line_width
from .vote_field import DARK, dim

MAX_DRAWN = 200  # candidates, those with most votes
MIN_IOU = 0.4  # of a candidate with the instance that it became
LOST_COLOR = (200, 200, 200)
LARGEST_DOT = 0.025  # radius for the most votes, in lengths of the image's longer side


@torch.no_grad()
def find_candidates(grouper: PixelBoxGrouper, boxes: torch.Tensor, probs: torch.Tensor,
                    img_shape: tuple[int, int], thing_ids: Sequence[int],
                    extent: tuple[float, float]) -> Candidates:
    """Find the candidates of an image before they are merged, most votes first; their ``labels``
    are categories among all. Arguments and errors as of :func:`~.vote_field.draw_vote_field`."""
    cells, _ = find_cells(probs, boxes, img_shape, thing_ids, extent)
    return grouper.vote(cells)[1] if len(cells.index) else Candidates(*cells[:3])


def match_candidates(candidates: Candidates, bboxes: np.ndarray,
                     categories: np.ndarray) -> np.ndarray:
    """Tell which of N instances each candidate became: ``(K,)`` int64, that of its category whose
    box has the highest IoU with the candidate's, from ``MIN_IOU`` on; -1 for none."""
    if not len(bboxes):
        return np.full(len(candidates.labels), -1)
    boxes = torch.as_tensor(bboxes, dtype=torch.float32)
    iou = np.asarray(box_iou(candidates.boxes[:, None].float(), boxes[None]))
    iou = iou * (np.asarray(candidates.labels)[:, None] == categories)
    return np.where(iou.max(axis=1) >= MIN_IOU, iou.argmax(axis=1), -1)


def draw_candidates(image: np.ndarray, candidates: Candidates, owners: np.ndarray,
                    colors: np.ndarray, with_labels: bool = True) -> np.ndarray:
    """Draw candidates as boxes with a dot at the centre, the larger the more votes.

    Args:
        image: RGB image, ``(H, W, 3)`` uint8.
        candidates: K of them in pixels of the image, those with most votes first.
        owners: ``(K,)`` int, the instance that each became, -1 for none: drawn grey.
        colors: ``(N, 3)`` uint8, the colours of the instances.
        with_labels: Whether to write on the first candidate of each instance how many votes it got.
    """
    canvas = dim(image)
    boxes = np.rint(np.asarray(candidates.boxes)[:MAX_DRAWN]).astype(int)
    votes, owners = np.asarray(candidates.votes)[:MAX_DRAWN], owners[:MAX_DRAWN]
    palette = np.concatenate([colors.reshape(-1, 3), [LOST_COLOR]]).astype(np.uint8)
    largest = LARGEST_DOT * max(canvas.shape[:2]) / np.sqrt(votes.max(initial=1e-9))
    radii = np.maximum(np.rint(np.sqrt(votes) * largest), 2).astype(int)
    paint_order = np.lexsort((votes, owners >= 0))  # many votes above few, found above lost
    for i in paint_order:
        cv2.rectangle(canvas, boxes[i, :2].tolist(), (boxes[i, 2:] - 1).tolist(),
                      palette[owners[i]].tolist(), line_width(canvas))
    for i in paint_order:
        centre = (boxes[i].reshape(2, 2).sum(axis=0) // 2).tolist()
        cv2.circle(canvas, centre, radii[i] + 1, DARK, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, radii[i], palette[owners[i]].tolist(), -1, cv2.LINE_AA)
    if not with_labels:
        return canvas
    _, first = np.unique(owners, return_index=True)
    first = first[owners[first] >= 0]
    texts = [f'{votes[i]:.0f} votes' if votes[i] >= 10 else f'{votes[i]:.1f} votes' for i in first]
    return draw_labels(canvas, boxes[first], texts, palette[owners[first]])
