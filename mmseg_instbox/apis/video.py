"""Draws the instances of a video into a video; each keeps its colour from frame to frame."""
from collections.abc import Callable, Iterable, Sequence
from itertools import count, starmap
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from pycocotools import mask as mask_tools
from rich.progress import track
from scipy.optimize import linear_sum_assignment

from ..errors import InvalidInputError
from ..utils import DEFAULT_SCORE_THR, replacing
from ..utils.decoding import VideoFrames
from ..utils.inputs import LOGGER
from ..utils.run_lengths import encode_crop, mask_crops
from ..visualization.drawing import DrawnObjects, draw_objects, instance_colors
from ..visualization.predictions import ALPHA, predicted_objects, shown_indices

_CODECS = {'.mp4': 'mp4v', '.m4v': 'mp4v', '.mov': 'mp4v', '.avi': 'MJPG', '.mkv': 'mp4v'}


def annotate_video(inferencer: Any,
                   video: str | Path,
                   out_file: str | Path | None,
                   score_thr: float = DEFAULT_SCORE_THR,
                   keep_colors: bool = True,
                   batch_size: int = 1,
                   alpha: float = ALPHA,
                   receive: Callable[[Any], None] | None = None) -> Path | None:
    """Draws the instances of each frame; only one batch of frames is in memory.

    Args:
        inferencer: An ``InstBoxInferencer`` or ``ExportedModel``; its ``show_progress`` shows a
            progress bar.
        video: A video that OpenCV reads.
        out_file: The video to write, of the same size and frame rate, without sound; its ending is
            .mp4, .m4v, .mov, .mkv or .avi. It is written whole or not at all. With None nothing is
            drawn, and ``receive`` gets the predictions.
        score_thr: Instances of a lower score are not drawn.
        keep_colors: Whether an object keeps its colour from frame to frame; else colours are
            ordered by score.
        batch_size: Number of frames in a forward pass.
        alpha: Opacity of the masks, 0 to 1.
        receive: Called with the prediction of each frame. With ``keep_colors``, its
            ``pred_instances.track_ids`` tell the objects apart; -1 for what is not drawn.

    Returns:
        Path: ``out_file``, or None.

    Raises:
        FileNotFoundError: The video does not exist.
        ValueError: The video cannot be read or written.
    """
    frames, out_file = VideoFrames(video), None if out_file is None else Path(out_file)
    if out_file is not None and out_file.suffix.lower() not in _CODECS:
        raise InvalidInputError(f'{out_file}: unknown video format; end the name with one of '
                                f'{", ".join(_CODECS)}.')
    colors = TrackColors() if keep_colors else None
    names = inferencer.dataset_meta['thing_classes']

    def draw(frame: np.ndarray, sample: Any) -> np.ndarray:
        objects = frame_objects(sample, names, score_thr, colors)
        if receive is not None:
            receive(sample)
        if out_file is None:
            return frame
        return draw_objects(np.ascontiguousarray(frame[..., ::-1]), objects, alpha)[..., ::-1]

    drawn = starmap(draw, inferencer.stream_with_images(iter(frames), batch_size))
    shown = track(drawn, 'Frames', frames.total, disable=not inferencer.show_progress)
    if out_file is None:
        number = sum(1 for _ in shown)
    else:
        with replacing(out_file, out_file.suffix) as temporary:
            number = write_frames(shown, str(temporary), frames.fps)
    if frames.total is not None and number < frames.total:
        LOGGER.warning('%s: %d of the %d frames that its header announces could be read.', video,
                       number, frames.total)
    return out_file


def frame_objects(sample: Any, names: Sequence[str], score_thr: float,
                  colors: 'TrackColors | None') -> DrawnObjects:
    """Returns what is drawn of a frame, from ``score_thr`` on, and gives its instances
    ``track_ids``; ``colors`` chooses the colours, and None orders them by score."""
    found, size = sample.pred_instances, sample.pred_instances.masks.shape[1:]
    objects = predicted_objects(found, names, size, np.empty(size), score_thr)
    if colors is not None:
        shown = torch.from_numpy(shown_indices(found, score_thr))
        numbers = colors.update(found.masks[shown], objects.boxes, found.labels[shown].numpy())
        found.track_ids = torch.full(found.scores.shape, -1)
        found.track_ids[shown] = torch.from_numpy(colors.track_ids)
        objects.colors = instance_colors(int(numbers.max(initial=-1)) + 1)[numbers]
    return objects


def write_frames(frames: Iterable[np.ndarray], out_file: str, fps: float) -> int:
    """Writes frames (H, W, 3) uint8 BGR of one size as a video, and returns their number;
    ValueError if OpenCV cannot write such a video."""
    writer, number, suffix = cv2.VideoWriter(), 0, Path(out_file).suffix
    try:
        for number, frame in enumerate(frames, start=1):
            if number == 1:
                codec = cv2.VideoWriter_fourcc(*_CODECS[suffix.lower()])
                writer.open(out_file, codec, fps, frame.shape[1::-1])
            if not writer.isOpened():
                raise InvalidInputError(f'OpenCV cannot write videos that end in {suffix} here: '
                                        f'use another of {", ".join(_CODECS)}.')
            writer.write(np.ascontiguousarray(frame))
    finally:
        writer.release()
    return number


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
