"""What each worker of a bulk run does: it loads the model once and writes shard after shard."""
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from ...errors import InvalidInputError
from ..prediction_job import open_inferencer
from .listing import BulkImage, ImageOpener
from .read_ahead import read_ahead
from .shards import row_of, write_shard
from .storage import Storage


class Shard(NamedTuple):
    """The name of a file, and the images whose predictions are to be in it."""
    name: str
    images: list[BulkImage]


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to know; ready for JSON.

    Attributes:
        model: Arguments of ``InstBoxInferencer``.
        expected: What its predictions depend on, as ``open_inferencer`` gives it.
        out: Path or address of the results.
        batch_size: How many images the network sees at once.
        threads: How many threads PyTorch uses on the CPU; None leaves that to PyTorch.
    """
    model: dict[str, Any]
    expected: dict[str, Any]
    out: str
    batch_size: int = 1
    threads: int | None = None


class ShardWorker:
    """Predicts the images of a shard after the other; knows nothing of the engine that calls it.

    Args:
        settings: See :class:`WorkerSettings`.

    Raises:
        ValueError: The model found here is not that of the process that started the run.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self.inferencer, found = open_inferencer(**settings.model)
        other = [key for key, value in settings.expected.items() if found.get(key) != value]
        if other:
            raise InvalidInputError(f'This machine has another {" and ".join(other)} of the model '
                                    f'than the one that started the run: {settings.model} must be '
                                    'the same files on all machines.')
        self.settings = settings
        self.storage = Storage(settings.out)
        self.opener = ImageOpener()

    def __call__(self, shard: Shard) -> tuple[int, list[tuple[str, str]]]:
        """Predict the images of a shard and write it.

        Returns:
            tuple: How many images are done; and the address and the reason of each that failed.
        """
        rows, failed = self._predict(shard.images)
        if rows:
            write_shard(rows, self._meta(), self.storage, shard.name)
        return len(rows), failed

    def _meta(self) -> dict[str, Any]:
        meta = self.inferencer.dataset_meta
        names = {key: list(meta[key]) for key in ('classes', 'thing_classes')}
        return dict(names, settings=self.settings.expected)

    def _predict(self, images: Sequence[BulkImage]) -> tuple[list[dict], list[tuple[str, str]]]:
        """Rows and failures. Where the network itself fails, halves are tried until the image is
        found that it fails at: one image does not take others with it."""
        try:
            return self._predict_all(images)
        except Exception as error:
            if len(images) == 1:
                reason = ' '.join(str(error).split())
                return [], [(images[0].image, f'{images[0].image}: unexpected '
                                              f'{type(error).__name__}: {reason}')]
        middle = len(images) // 2
        halves = [self._predict(part) for part in (images[:middle], images[middle:])]
        return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]

    def _predict_all(self, images: Sequence[BulkImage]) -> tuple[list[dict], list[tuple[str, str]]]:
        by_name = {image.image: image for image in images}
        inputs = read_ahead(map(self.opener, images), self.settings.batch_size + 1)
        things = self.inferencer.dataset_meta['thing_classes']
        rows = [row_of(by_name[sample.name], sample, things)
                for sample in self.inferencer.stream(inputs, self.settings.batch_size,
                                                     on_error='skip')]
        return rows, list(self.inferencer.failures)


def shard_to_text(shard: Shard) -> str:
    """A shard as JSON."""
    return json.dumps([shard.name, shard.images])


def shard_from_text(text: str) -> Shard:
    """The shard of :func:`shard_to_text`."""
    name, images = json.loads(text)
    return Shard(name, [BulkImage(*image) for image in images])
