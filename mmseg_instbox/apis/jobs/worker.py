"""What predicts shards: a worker that loads the model once, in any process."""
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np

from ... import apis  # which imports its names when they are used
from ...deploy.exported_model import ExportedModel
from ...deploy.predictor import Predictor
from ...deploy.sessions import is_exported
from ...errors import InvalidInputError
from ...utils.foreign_errors import describe
from ...utils.inputs import InputImage
from .listing import JobInput, open_input
from .records import to_record, write_shard
from .storage import Storage

Failures = list[tuple[str, str]]  # address and reason of images


class Shard(NamedTuple):
    """The name of a file, and the images whose predictions go there."""
    name: str
    images: list[JobInput]


class ShardWorker:
    """Predicts shards and writes them; independent of what executes it.

    Args:
        model: Arguments of ``InstBoxInferencer``.
        expected: What predictions depend on, of :func:`open_predictor`, where the job started.
        out: Path or address of the results.
        batch_size: Number of images in a forward pass, if they have one size.
        predictor: The predictor if it is open already; else it is opened here, with ValueError if
            it differs from that of the process that started the job.
        draw: Called with each image ``(H, W, 3)`` uint8 BGR and its prediction, named by address.
    """

    def __init__(self, model: dict[str, Any], expected: dict[str, Any], out: str,
                 batch_size: int = 1, predictor: Predictor | None = None,
                 draw: Callable[[np.ndarray, Any], None] | None = None) -> None:
        if predictor is None:
            predictor, found = open_predictor(**model)
            other = [key for key, value in expected.items() if found.get(key) != value]
            if other:
                raise InvalidInputError(
                    f'This machine has another {" and ".join(other)} of the model than the one '
                    f'that started the job: {model} must be the same files everywhere.')
        self.predictor = predictor
        self.storage = Storage(out)
        self.batch_size = batch_size
        self._draw = draw
        meta = predictor.dataset_meta
        self._meta = dict(classes=list(meta['classes']), thing_classes=list(meta['thing_classes']),
                          settings=expected)

    def __call__(self, shard: Shard) -> tuple[int, Failures]:
        """Predicts the images of a shard and writes it, interrupted too; returns the number of
        images that are done, and address and reason of each that failed."""
        rows: list[dict[str, Any]] = []
        failed: Failures = []
        images = {image.image: image for image in shard.images}
        inputs = read_ahead(map(open_input, shard.images), self.batch_size + 1)
        try:
            for array, sample in self.predictor.stream_with_images(inputs, self.batch_size,
                                                                   on_error='skip'):
                try:
                    if self._draw is not None:
                        self._draw(array, sample)
                    rows.append(to_record(images[sample.name], sample,
                                          self._meta['thing_classes']))
                except OSError:  # results cannot be written
                    raise
                except Exception as error:
                    failed.append((sample.name, describe(error, sample.name)))
        finally:
            if rows:
                write_shard(rows, self._meta, self.storage, shard.name)
        return len(rows), [*failed, *self.predictor.failures]


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


def runs_alone(model: Any = None, weights: Any = None, cfg_options: dict | None = None,
               precision: str = 'fp32', **_: Any) -> bool:
    """Whether these options of ``InstBoxInferencer`` name an exported model that
    :class:`~mmseg_instbox.deploy.ExportedModel` runs, without importing MMSegmentation."""
    return is_exported(model) and not weights and not cfg_options and precision == 'fp32'


def open_predictor(**options: Any) -> tuple[Predictor, dict[str, Any]]:
    """Opens a predictor with options of ``InstBoxInferencer``, and tells what its predictions
    depend on, as strings and numbers: digests of the ``weights`` and of the ``config`` (``model``
    and ``test_pipeline``, or the settings in an exported file), ``precision`` and ``tile``."""
    tile = options.get('tile')
    if runs_alone(**options):
        predictor = ExportedModel(options['model'], options.get('device'), tile)
        weights, settings = predictor.digest, asdict(predictor.settings)
    else:
        predictor, content = apis.InstBoxInferencer(**options), hashlib.sha256()
        for name, value in predictor.model.state_dict().items():
            content.update(name.encode())
            content.update(value.detach().cpu().contiguous().flatten().float().numpy().tobytes())
        weights = content.hexdigest()
        settings = {key: predictor.model.cfg.get(key) for key in ('model', 'test_pipeline')}
    config = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    return predictor, dict(weights=weights[:16], config=config[:16],
                           precision=options.get('precision', 'fp32'), tile=tile)
