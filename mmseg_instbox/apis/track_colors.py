"""Keeps the colour of an object from frame to frame."""
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from ..core.box_iou import box_iou
from ..errors import InvalidInputError

_SIDE = 256  # masks are compared at about this size


class _Track(NamedTuple):
    """An object as it was last seen, ``age`` frames ago."""
    id: int
    colour: int
    label: int
    mask: np.ndarray
    box: np.ndarray
    age: int


class TrackColors:
    """Numbers the objects of a video so that each keeps its number.

    Objects of a frame are matched one to one with known ones of the same category so that the sum
    of the mean IoU of masks and boxes is largest (Hungarian assignment). A new object gets the
    smallest number that no known object has.

    Args:
        min_iou: Lowest mean IoU of two masks and boxes of the same object.
        max_age: Number of frames after which an object that is not seen is forgotten.

    Attributes:
        track_ids: (N,) int64, number of each object of the last frame among all of the video, from
            1 on; those of forgotten objects are not used again.
    """

    def __init__(self, min_iou: float = 0.2, max_age: int = 10) -> None:
        self.min_iou = min_iou
        self.max_age = max_age
        self.track_ids = np.zeros(0, np.int64)
        self._tracks: list[_Track] = []
        self._next_id = count(1)

    def update(self, masks: Any, boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Numbers the objects of the next frame, ``(N,)`` int64, all different, from 0.

        Args:
            masks: ``(N, H, W)`` bool, an array or a tensor, of the same size in all frames.
            boxes: ``(N, 4)`` x1, y1, x2, y2.
            labels: ``(N,)`` int.

        Raises:
            ValueError: The masks have another size than before.
        """
        step = max(1, max(masks.shape[1:]) // _SIDE)
        if getattr(masks, 'inst_map', None) is None:
            small = np.asarray(masks[:, ::step, ::step])
        else:
            numbers = masks.numbers.numpy()[:, None, None]
            small = masks.inst_map.numpy()[::step, ::step] == numbers
        if self._tracks and self._tracks[0].mask.shape != small.shape[1:]:
            raise InvalidInputError(f'The masks have the size {masks.shape[1:]}, those of earlier '
                                    'frames another one: all frames of a video must have one size.')
        known = self._match(small, boxes, labels)
        taken = {track.colour for track in self._tracks}
        free = (number for number in count() if number not in taken)
        seen = []
        for i, mask in enumerate(small):
            track_id, colour = known[i][:2] if i in known else (next(self._next_id), next(free))
            seen.append(_Track(track_id, colour, int(labels[i]), mask.copy(), boxes[i], 0))
        found = {track.id for track in seen}
        lost = [track._replace(age=track.age + 1) for track in self._tracks
                if track.id not in found and track.age < self.max_age]
        self._tracks = seen + lost
        self.track_ids = np.array([track.id for track in seen], np.int64)
        return np.array([track.colour for track in seen], np.int64)

    def _match(self, masks: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> dict[int, _Track]:
        """Returns the tracks of known objects by the indices of the objects."""
        if not self._tracks or not len(masks):
            return {}
        _, _, known, old_masks, old_boxes, _ = map(np.stack, zip(*self._tracks, strict=True))
        boxes, old_boxes = (torch.from_numpy(each.copy()) for each in (boxes, old_boxes))
        iou = (mask_iou(old_masks, masks) + box_iou(old_boxes[:, None], boxes[None]).numpy()) / 2
        iou = iou * (known[:, None] == labels[None])
        pairs = zip(*linear_sum_assignment(iou, maximize=True), strict=True)
        return {int(column): self._tracks[row] for row, column in pairs
                if iou[row, column] >= self.min_iou}


def mask_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU ``(M, N)`` of masks ``(M, H, W)`` and ``(N, H, W)`` bool; 0 of empty ones."""
    first, second = (each.reshape(len(each), -1).astype(np.float32) for each in (first, second))
    shared = first @ second.T
    union = first.sum(axis=1)[:, None] + second.sum(axis=1)[None] - shared
    return shared / np.maximum(union, 1)
