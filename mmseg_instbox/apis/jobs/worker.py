"""What predicts shards: a worker that loads the model once, in any process."""
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmseg.structures import SegDataSample
from torch import nn

from ...errors import InvalidInputError
from ...utils.foreign_errors import describe
from ...utils.inputs import InputImage
from ..inst_box_inferencer import InstBoxInferencer
from .listing import JobInput, open_input
from .records import to_record, write_shard
from .storage import Storage

Failures = list[tuple[str, str]]  # address and reason of images


class Shard(NamedTuple):
    """The name of a file, and the images whose predictions go there."""
    name: str
    images: list[JobInput]


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to know; can be pickled: arguments of ``InstBoxInferencer``; what its
    predictions depend on, of :func:`open_inferencer`; path or address of the results."""
    model: dict[str, Any]
    expected: dict[str, Any]
    out: str
    batch_size: int = 1


class ShardWorker:
    """Predicts shards and writes them; independent of what executes it.

    Args:
        settings: See :class:`WorkerSettings`.
        inferencer: The inferencer if it is open already; else it is opened here and checked.
        draw: Called with each image ``(H, W, 3)`` uint8 BGR and its prediction, named by address.

    Raises:
        ValueError: The model here differs from that of the process that started the job.
    """

    def __init__(self, settings: WorkerSettings, inferencer: InstBoxInferencer | None = None,
                 draw: Callable[[np.ndarray, SegDataSample], None] | None = None) -> None:
        if inferencer is None:
            inferencer, found = open_inferencer(**settings.model)
            other = [key for key, value in settings.expected.items() if found.get(key) != value]
            if other:
                raise InvalidInputError(
                    f'This machine has another {" and ".join(other)} of the model than the one '
                    f'that started the job: {settings.model} must be the same files everywhere.')
        self.inferencer = inferencer
        self.settings = settings
        self.storage = Storage(settings.out)
        self._draw = draw
        meta = inferencer.dataset_meta
        self._meta = dict(classes=list(meta['classes']), thing_classes=list(meta['thing_classes']),
                          settings=settings.expected)

    def __call__(self, shard: Shard) -> tuple[int, Failures]:
        """Predicts the images of a shard and writes it, interrupted too; returns the number of
        images that are done, and address and reason of each that failed."""
        rows: list[dict[str, Any]] = []
        try:
            failed = self._predict({image.image: image for image in shard.images}, rows)
        finally:
            if rows:
                write_shard(rows, self._meta, self.storage, shard.name)
        return len(rows), failed

    def _predict(self, images: dict[str, JobInput], rows: list[dict[str, Any]]) -> Failures:
        """Appends rows and returns failures."""
        failed: Failures = []
        inputs = read_ahead(map(open_input, images.values()), self.settings.batch_size + 1)
        for array, sample in self.inferencer.stream_with_images(inputs, self.settings.batch_size,
                                                                on_error='skip'):
            try:
                if self._draw is not None:
                    self._draw(array, sample)
                rows.append(to_record(images[sample.name], sample, self._meta['thing_classes']))
            except OSError:  # results cannot be written
                raise
            except Exception as error:
                failed.append((sample.name, describe(error, sample.name)))
        return [*failed, *self.inferencer.failures]


def read_ahead(images: Iterable[InputImage], number: int) -> Iterator[InputImage]:
    """Yields the same images, loaded by ``number`` threads, at most that many ahead.

    What loading an image raises, its ``load`` raises here, too.
    """
    with ThreadPoolExecutor(number) as pool:
        waiting: deque[InputImage] = deque()
        try:
            for image in images:
                waiting.append(replace(image, load=pool.submit(image.load).result))
                if len(waiting) > number:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        except GeneratorExit:  # the caller wants no more images
            pool.shutdown(cancel_futures=True)
            raise


def open_inferencer(**options: Any) -> tuple[InstBoxInferencer, dict[str, Any]]:
    """Opens an inferencer, and tells what its predictions depend on, as strings and numbers."""
    inferencer = InstBoxInferencer(**options)
    settings = fingerprints(inferencer.model, inferencer.model.cfg)
    return inferencer, dict(settings, precision=options.get('precision', 'fp32'),
                            tile=options.get('tile'))


def fingerprints(model: nn.Module, cfg: Config) -> dict[str, str]:
    """Returns digests of a model's weights and of ``model`` and ``test_pipeline`` of its config."""
    weights = hashlib.sha256()
    for name, value in model.state_dict().items():
        weights.update(name.encode())
        weights.update(value.detach().cpu().contiguous().flatten().float().numpy().tobytes())
    settings = {key: cfg.get(key) for key in ('model', 'test_pipeline')}
    text = json.dumps(settings, sort_keys=True, default=str)
    return dict(weights=weights.hexdigest()[:16],
                config=hashlib.sha256(text.encode()).hexdigest()[:16])
