"""The drawings of a job: an image for each image, a video for each video."""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ... import apis  # which imports its names when they are used
from ...deploy.predictor import Predictor
from ...utils.foreign_errors import describe
from ...visualization.predictions import draw_prediction
from ...visualization.utils import write_image
from .listing import open_input
from .prediction_job import PredictionJob
from .records import from_record, to_record


class Drawings:
    """Draws the predictions of a job on this machine into ``vis/`` of its directory, once for a
    lowest score of drawn instances, ``score_thr``, and a largest side in pixels, ``draw_size``.

    ``predictor`` predicts the frames of videos; that is all that happens unless ``enabled``.
    """

    def __init__(self, job: PredictionJob, predictor: Predictor, score_thr: float,
                 draw_size: int, enabled: bool) -> None:
        self.job, self.predictor, self.score_thr = job, predictor, score_thr
        self.enabled = enabled
        self.names = predictor.dataset_meta['thing_classes']
        self.folder = Path(job.storage.root, 'vis')
        self._style = [score_thr, draw_size]
        if enabled and not job.num_done:
            job.remember('drawn_with', self._style)

    def draw(self, image: np.ndarray, sample: Any) -> None:
        """Draws a prediction on its image ``(H, W, 3)`` uint8 BGR, into the file for its
        ``img_path``."""
        drawn = draw_prediction(image[..., ::-1], sample.pred_instances, self.names, *self._style)
        write_image(drawn, str(self._file(sample.img_path)))

    def draw_missing(self) -> None:
        """Draws all images again after another score or size, else those without a drawing."""
        again = self.job.settings.get('drawn_with') != self._style
        images = {each.image: each for each in self.job.images
                  if again or not self._file(each.image).is_file()}
        for row in self.job.rows() if images else ():
            if row['image'] in images:
                with self._attempt(row['image']):
                    self.draw(open_input(images[row['image']]).load(),
                              from_record(row, category_map=False))
        self.job.remember('drawn_with', self._style)

    def annotate(self, keep_colors: bool, batch_size: int) -> None:
        """Predicts and draws the videos that are not done; arguments as of ``annotate_video``.
        Those that cannot be read are in ``failed`` of the job."""
        again = self.job.settings.get('video_score_thr') != self.score_thr
        for video in self.job.videos:
            file = self._file(video.image, '_video.mp4') if self.enabled else None
            if again or video.image not in self.job.done or (file and not file.is_file()):
                rows = []
                with self._attempt(video.image):
                    apis.annotate_video(
                        self.predictor, video.path, file, self.score_thr, keep_colors, batch_size,
                        receive=lambda sample, video=video, rows=rows: rows.append(
                            to_record(video, sample, self.names, len(rows))))
                    self.job.finish(video, rows)
        if self.job.videos:
            self.job.remember('video_score_thr', self.score_thr)

    def _file(self, image: str, ending: str = '.jpg') -> Path:
        return self.folder / f'{self.job.names[image]}{ending}'

    @contextmanager
    def _attempt(self, name: str) -> Iterator[None]:
        """Surrounds the work of one input; if that fails, the others go on."""
        try:
            yield
        except Exception as error:
            self.job.failed[name] = describe(error, name)
