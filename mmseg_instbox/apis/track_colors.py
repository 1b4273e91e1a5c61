"""Keeps the colour of an object from frame to frame."""
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from ..core.box_iou import box_iou
from ..errors import InvalidInputError

_SIDE = 256  # masks are compared at about this size


class _Track(NamedTuple):
    """An object as it was last seen, ``age`` frames ago."""
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
    """

    def __init__(self, min_iou: float = 0.2, max_age: int = 10) -> None:
        self.min_iou = min_iou
        self.max_age = max_age
        self._tracks: list[_Track] = []

    def update(self, masks: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Numbers the objects of the next frame.

        Args:
            masks: ``(N, H, W)`` bool, of the same size in all frames.
            boxes: ``(N, 4)`` x1, y1, x2, y2.
            labels: ``(N,)`` int.

        Returns:
            np.ndarray: ``(N,)`` int64, all different, from 0.

        Raises:
            ValueError: The masks have another size than before.
        """
        step = max(1, max(masks.shape[1:]) // _SIDE)
        small = masks[:, ::step, ::step]
        if self._tracks and self._tracks[0].mask.shape != small.shape[1:]:
            raise InvalidInputError(f'The masks have the size {masks.shape[1:]}, those of earlier '
                                    'frames another one: all frames of a video must have one size.')
        rows, columns = self._match(small, boxes, labels)
        found = dict(zip(columns.tolist(), rows.tolist(), strict=True))
        numbers = self._number(found, len(masks))
        seen = [_Track(number, int(label), mask.copy(), box, 0) for number, label, mask, box
                in zip(numbers, labels, small, boxes, strict=True)]
        matched = set(rows.tolist())
        lost = [track._replace(age=track.age + 1) for i, track in enumerate(self._tracks)
                if i not in matched and track.age < self.max_age]
        self._tracks = seen + lost
        return np.array(numbers, dtype=np.int64)

    def _number(self, found: dict[int, int], count: int) -> list[int]:
        """Returns the number of each object; ``found`` has the tracks of known ones."""
        taken = {track.colour for track in self._tracks}
        numbers = []
        for i in range(count):
            if i in found:
                numbers.append(self._tracks[found[i]].colour)
            else:
                numbers.append(next(n for n in range(len(taken) + 1) if n not in taken))
                taken.add(numbers[-1])
        return numbers

    def _match(self, masks: np.ndarray, boxes: np.ndarray,
               labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the indices of tracks and of the objects they match."""
        nothing = np.zeros(0, dtype=np.int64)
        if not self._tracks or not len(masks):
            return nothing, nothing
        _, known, old_masks, old_boxes, _ = (np.stack(each) for each in zip(*self._tracks,
                                                                            strict=True))
        iou = (mask_iou(old_masks, masks) + _box_iou(old_boxes, boxes)) / 2
        iou = iou * (known[:, None] == labels[None])
        rows, columns = linear_sum_assignment(iou, maximize=True)
        same = iou[rows, columns] >= self.min_iou
        return rows[same], columns[same]


def mask_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU ``(M, N)`` of masks ``(M, H, W)`` and ``(N, H, W)`` bool; 0 of empty ones."""
    first, second = (each.reshape(len(each), -1).astype(np.float32) for each in (first, second))
    shared = first @ second.T
    union = first.sum(axis=1)[:, None] + second.sum(axis=1)[None] - shared
    return shared / np.maximum(union, 1)


def _box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU ``(M, N)`` of boxes ``(M, 4)`` and ``(N, 4)``."""
    first, second = (torch.from_numpy(each.copy()) for each in (first, second))
    return box_iou(first[:, None], second[None]).numpy()
