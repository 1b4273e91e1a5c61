"""Keeps the colour of an object from frame to frame."""
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as mask_tools
from scipy.optimize import linear_sum_assignment

from ..utils.run_lengths import encode_crop, mask_crops


class _Track(NamedTuple):
    """An object as it was last seen."""
    id: int
    colour: int
    label: int
    mask: dict[str, Any]  # run lengths
    box: np.ndarray  # x, y, width and height
    age: int  # frames since then


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
            masks: ``(N, H, W)`` of the same size in all frames, as :func:`.mask_crops` reads them.
            boxes: ``(N, 4)`` x1, y1, x2, y2.
            labels: ``(N,)`` int.
        """
        codes = [encode_crop(crop, tuple(masks.shape[1:])) for crop in mask_crops(masks)]
        boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(float)
        known = self._match(codes, boxes, labels)
        taken = {track.colour for track in self._tracks}
        free = (number for number in count() if number not in taken)
        seen = []
        for i, code in enumerate(codes):
            track_id, colour = known[i][:2] if i in known else (next(self._next_id), next(free))
            seen.append(_Track(track_id, colour, int(labels[i]), code, boxes[i], 0))
        found = {track.id for track in seen}
        lost = [track._replace(age=track.age + 1) for track in self._tracks
                if track.id not in found and track.age < self.max_age]
        self._tracks = seen + lost
        self.track_ids = np.array([track.id for track in seen], np.int64)
        return np.array([track.colour for track in seen], np.int64)

    def _match(self, codes: list[dict], boxes: np.ndarray, labels: np.ndarray) -> dict[int, _Track]:
        """Returns the tracks of known objects by the indices of the objects."""
        if not self._tracks or not codes:
            return {}
        _, _, known, masks, old_boxes, _ = zip(*self._tracks, strict=True)
        no_crowds = [0] * len(codes)
        iou = (mask_tools.iou(list(masks), codes, no_crowds)
               + mask_tools.iou(np.stack(old_boxes), boxes, no_crowds)) / 2
        iou = iou * (np.array(known)[:, None] == labels[None])
        pairs = zip(*linear_sum_assignment(iou, maximize=True), strict=True)
        return {int(column): self._tracks[row] for row, column in pairs
                if iou[row, column] >= self.min_iou}
