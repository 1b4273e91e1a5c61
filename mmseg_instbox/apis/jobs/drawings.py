"""The drawings of a job: an image for each image, a video for each video."""
from pathlib import Path

import numpy as np
from mmseg.structures import SegDataSample

from ...errors import InstBoxError
from ..inst_box_inferencer import InstBoxInferencer
from ..video import annotate_video
from .listing import ImageOpener, output_names
from .prediction_job import PredictionJob
from .records import from_record, to_record


class Drawings:
    """Draws the predictions of a job into ``vis/`` of its directory, each once for a score.

    Args:
        job: The job; its directory is on this machine.
        inferencer: Draws images, and predicts the frames of videos.
        score_thr: Instances of a lower score are not drawn.
    """

    def __init__(self, job: PredictionJob, inferencer: InstBoxInferencer, score_thr: float) -> None:
        self.job, self.inferencer, self.score_thr = job, inferencer, score_thr
        self.folder = Path(job.storage.root, 'vis')
        if not job.num_done:
            job.remember('drawn_score_thr', score_thr)

    def draw(self, image: np.ndarray, sample: SegDataSample) -> None:
        """Draws a prediction named by its address on its image ``(H, W, 3)`` uint8 BGR."""
        named = sample.new()
        named.set_metainfo(dict(name=self.job.names[sample.img_path]))
        self.inferencer.visualize([image], [named], vis_dir=self.folder, score_thr=self.score_thr)

    def draw_missing(self) -> None:
        """Draws all images again after another score, else those that have no drawing."""
        again = self.job.remembered('drawn_score_thr') != self.score_thr
        names = {image: name for image, name in self.job.names.items()
                 if again or not (self.folder / f'{name}.jpg').is_file()}
        images, opener = {each.image: each for each in self.job.images}, ImageOpener()
        for row in self.job.rows() if names else ():
            if row['image'] in names:
                sample = from_record(row, category_map=False)
                self.draw(opener(images[row['image']]).load(), sample)
        self.job.remember('drawn_score_thr', self.score_thr)

    def annotate(self, keep_colors: bool, batch_size: int) -> list[dict[str, str]]:
        """Draws instances into the videos that are not done; arguments as ``annotate_video``.

        Returns:
            list[dict]: ``input`` and ``reason`` of each video that cannot be read.
        """
        failed = []
        again = self.job.remembered('video_score_thr') != self.score_thr
        for name, video in zip(output_names(self.job.videos, '_video').values(), self.job.videos,
                               strict=True):
            if self.job.is_done(video) and not again:
                continue
            try:
                annotate_video(self.inferencer, video.image, self.folder / f'{name}.mp4',
                               self.score_thr, keep_colors, batch_size)
                self.job.finish(video, to_record(video))
            except (InstBoxError, OSError) as error:
                failed.append(dict(input=video.image, reason=str(error)))
        if self.job.videos:
            self.job.remember('video_score_thr', self.score_thr)
        return failed
