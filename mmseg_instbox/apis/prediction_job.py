"""What ``instbox predict`` does: predict, draw, write the formats asked for, go on after a stop."""
import glob
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.structures import SegDataSample
from torch import nn

from ..errors import InstBoxError
from ..utils.inputs import IMAGE_SUFFIXES, VIDEO_SUFFIXES, InputImage
from .formats import FORMATS
from .prediction_run import PredictionRun


@dataclass
class PredictionJob:
    """Predictions of many images and videos, which can go on after a stop.

    Attributes:
        inferencer: An ``InstBoxInferencer``.
        run: Where the predictions are kept.
        images: All images, those that are done included; their names differ.
        videos: All videos; see :func:`read_videos`.
        score_thr: Lowest score of an instance in pictures and formats.
        pictures: Whether to draw each prediction, to ``vis/NAME.jpg``.
        batch_size: How many images the network sees at once.
        keep_colors: Whether an object keeps its colour through a video.
    """
    inferencer: Any
    run: PredictionRun
    images: Sequence[InputImage]
    videos: Sequence[InputImage] = ()
    score_thr: float = 0.2
    pictures: bool = True
    batch_size: int = 1
    keep_colors: bool = True

    def done(self) -> list[InputImage]:
        """The images whose predictions are there."""
        return [image for image in self.images if self.run.is_done(image)]

    def predict(self, tick: Callable[[int], None] = lambda number: None) -> list[dict[str, str]]:
        """Predict on the images that are not done.

        Args:
            tick: Called after each image with the number of images since the last call; those that
                cannot be read are counted with the next one that can, or at the end.

        Returns:
            list[dict]: ``input`` and ``reason`` of each image that could not be read.
        """
        waiting = {image.name: image for image in self.images if not self.run.is_done(image)}
        stream = self.inferencer.stream_with_images(waiting.values(), self.batch_size,
                                                    on_error='skip')
        settled = 0
        for number, (array, sample) in enumerate(stream, start=1):
            image = waiting[sample.name]
            self.run.add(image, sample, self._draw(array, sample))
            before, settled = settled, number + len(self.inferencer.failures)
            tick(settled - before)
        tick(len(waiting) - settled)
        return [dict(input=str(waiting[name].path), reason=reason)
                for name, reason in self.inferencer.failures]

    def _draw(self, array: Any, sample: SegDataSample) -> float | None:
        """Draw a picture if pictures are wanted; its lowest score, None without a picture."""
        if not self.pictures:
            return None
        self.inferencer.visualize([array], [sample], vis_dir=self.run.out_dir / 'vis',
                                  score_thr=self.score_thr)
        return self.score_thr

    def annotate(self) -> list[dict[str, str]]:
        """Draw the instances into the videos that are not done; gives what could not be read."""
        from .video import annotate_video
        failed = []
        for video in self.videos:
            if self.run.is_done(video) and self.run.drawn(video) == self.score_thr:
                continue
            try:
                annotate_video(self.inferencer, video.path,
                               self.run.out_dir / 'vis' / f'{video.name}.mp4',
                               self.score_thr, self.keep_colors, self.batch_size)
                self.run.add(video, drawn=self.score_thr)
            except (InstBoxError, OSError) as error:
                failed.append(dict(input=video.path, reason=str(error)))
        return failed

    def compile(self, formats: Sequence[str],
                tick: Callable[[int], None] = lambda number: None) -> list[Path]:
        """Write all predictions in other formats, and the pictures that are missing.

        Args:
            formats: Keys of ``FORMATS``; each gets a directory of that name.
            tick: Called with 1 after each image.

        Returns:
            list[Path]: What the writers wrote; nothing if no image is done.
        """
        done = self.done()
        if not done:
            return []
        writers = [FORMATS[name](self.run.out_dir / name, self.inferencer.dataset_meta,
                                 self.score_thr) for name in formats]
        for image in done:
            sample = self.run.sample(image)
            if self.pictures and self.run.drawn(image) != self.score_thr:
                self.run.add(image, sample, self._draw(image.load(), sample))
            for writer in writers:
                writer.add(sample, image.name, image.path)
            tick(1)
        return [Path(writer.close()) for writer in writers]


def split_videos(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Inputs without videos, and the paths of the videos; patterns are resolved where needed."""
    pictures, videos = [], []
    for text in inputs:
        found = [text]
        if glob.has_magic(text) and not Path(text).exists():
            found = sorted(glob.glob(text, recursive=True))
        films = [each for each in found if Path(each).suffix.lower() in VIDEO_SUFFIXES
                 and Path(each).is_file()]
        videos += films
        if films:
            pictures += [each for each in found if Path(each).suffix.lower() in IMAGE_SUFFIXES]
        else:
            pictures.append(text)  # a pattern that fits nothing is an error of its own
    return pictures, videos


def read_videos(paths: Sequence[str]) -> list[InputImage]:
    """Videos as inputs of a run, with names that differ; they are not loaded."""
    names: dict[str, str] = {}
    for path in paths:
        name, number = f'{Path(path).stem}_video', 2
        while name in names:
            name, number = f'{Path(path).stem}_video_{number}', number + 1
        names[name] = path
    return [InputImage(name, path, lambda: None) for name, path in names.items()]


def open_inferencer(**options: Any) -> tuple[Any, dict[str, Any]]:
    """The inferencer, and what its predictions depend on.

    Args:
        **options: Of ``InstBoxInferencer``.

    Raises:
        ValueError: There are no weights, or they do not fit: see ``load_model``.
        FileNotFoundError: A file is missing.
    """
    from .inst_box_inferencer import InstBoxInferencer
    inferencer = InstBoxInferencer(**options)
    settings = fingerprints(inferencer.model, inferencer.model.cfg)
    return inferencer, dict(settings, precision=options.get('precision', 'fp32'),
                            tile=options.get('tile'))


def fingerprints(model: nn.Module, cfg: Config) -> dict[str, str]:
    """What tells a model from others: digests of its weights and of its settings.

    Args:
        model: The model with its weights.
        cfg: Its config, of which ``model`` and ``test_pipeline`` count.
    """
    weights = hashlib.sha256()
    for name, value in model.state_dict().items():
        weights.update(name.encode())
        weights.update(value.detach().cpu().contiguous().flatten().float().numpy().tobytes())
    settings = {key: cfg.get(key) for key in ('model', 'test_pipeline')}
    text = json.dumps(settings, sort_keys=True, default=str)
    return dict(weights=weights.hexdigest()[:16],
                config=hashlib.sha256(text.encode()).hexdigest()[:16])
