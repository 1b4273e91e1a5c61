"""Draws the instances of a video into a video."""
from collections.abc import Callable, Iterable, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import track

from ..errors import InvalidInputError
from ..utils import DEFAULT_SCORE_THR, replacing
from ..utils.decoding import VideoFrames
from ..utils.inputs import LOGGER
from ..visualization.drawing import DrawnObjects, draw_objects, instance_colors
from ..visualization.predictions import ALPHA, predicted_objects, shown_indices
from .track_colors import TrackColors

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
                  colors: TrackColors | None) -> DrawnObjects:
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
