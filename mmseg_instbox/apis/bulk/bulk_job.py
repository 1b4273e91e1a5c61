"""A run over very many images, which can go on after a stop."""
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import InvalidInputError
from .coco_file import write_coco
from .listing import BulkImage
from .shard_worker import Shard
from .shards import FOLDER, list_shards, read_shard, read_shards
from .storage import Storage

SHARD_SIZE = 100  # images
_KEYS = ('image', 'size', 'time')
Execute = Callable[[Sequence[Shard]], Iterable[tuple[int, list[tuple[str, str]]]]]


@dataclass
class BulkJob:
    """Predictions of very many images, as shards in a directory here or in an object store.

    The directory has ``settings.json``, what the predictions depend on; ``parquet/``, the shards;
    and in the end ``coco/annotations.json`` and, if any, ``failed.json``. An image counts as done
    if a shard has it and its size and time have not changed since.

    Attributes:
        storage: The directory.
        settings: What the predictions depend on, by name; strings and numbers.
        images: All images, those that are done included.
        overwrite: Forget what an earlier run left.
        shard_size: How many images a shard holds at most; what a stop costs.

    Raises:
        ValueError: The directory holds the results of a run with other settings.
    """
    storage: Storage
    settings: dict[str, Any]
    images: Sequence[BulkImage]
    overwrite: bool = False
    shard_size: int = SHARD_SIZE
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shards = list_shards(self.storage)
        if self.overwrite:
            for path in shards:
                self.storage.remove(path)
        elif shards:
            self._check_settings()
        self._write('settings.json', self.settings)
        self.find_done()

    def _check_settings(self) -> None:
        path = self.storage.inside('settings.json')
        before = json.loads(self.storage.read(path)) if self.storage.info(path).is_file else {}
        changed = [key for key in self.settings if before.get(key) != self.settings[key]]
        if changed:
            raise InvalidInputError(
                f'{self.storage.address(self.storage.root)} holds the results of a run with '
                f'another {" and ".join(changed)}: give another --out, or --overwrite to predict '
                'everything again.')

    def _write(self, name: str, content: Any) -> str:
        path = self.storage.inside(name)
        self.storage.write((json.dumps(content, indent=2) + '\n').encode(), path)
        return self.storage.address(path)

    def find_done(self) -> None:
        """Read which images the shards hold; broken shards, which a store may leave, go away."""
        wanted = {image.image: image for image in self.images}
        self._sizes.clear()
        sizes = {}
        columns = (*_KEYS, 'height', 'width')
        for path, rows in read_shards(self.storage, list_shards(self.storage), columns):
            if rows is None:
                self.storage.remove(path)
            for row in rows or ():
                if _is_current(row, wanted):
                    sizes[row['image']] = (row['height'], row['width'])
        self._sizes.update((image, sizes[image]) for image in wanted if image in sizes)

    @property
    def num_done(self) -> int:
        """How many of the images are done."""
        return len(self._sizes)

    def waiting(self, workers: int) -> list[Shard]:
        """Shards of the images that are not done: some for each worker, even of few images."""
        left = [(place, image) for place, image in enumerate(self.images)
                if image.image not in self._sizes]
        size = max(1, min(self.shard_size, -(-len(left) // (4 * workers))))
        parts = [left[start:start + size] for start in range(0, len(left), size)]
        return [_shard(part[0][0], [image for _, image in part]) for part in parts]

    def predict(self, execute: Execute, workers: int,
                tick: Callable[[int], None] = lambda number: None) -> list[dict[str, str]]:
        """Predict on the images that are not done.

        Args:
            execute: Has workers call a ``ShardWorker`` with each shard, and gives what they return,
                in any order; shards it could not have done are left out.
            workers: How many they are.
            tick: Called with the number of images since the last call.

        Returns:
            list[dict]: ``input`` and ``reason`` of each image that is not done now.
        """
        failed: dict[str, str] = {}
        for done, reasons in execute(self.waiting(workers)):
            failed.update(reasons)
            tick(done + len(reasons))
        self.find_done()
        return [dict(input=image.image, reason=failed.get(image.image, _lost(image)))
                for image in self.images if image.image not in self._sizes]

    def compile(self, dataset_meta: dict, score_thr: float) -> str:
        """Write COCO's JSON of all that is done; gives its path or address."""
        path = self.storage.inside('coco/annotations.json')
        with self.storage.replacing(path) as file:
            write_coco(file, self._sizes, self._rows(), dataset_meta, score_thr)
        return self.storage.address(path)

    def _rows(self) -> Iterator[dict[str, Any]]:
        """The row of each image that is done, a shard in memory at a time."""
        wanted = {image.image: image for image in self.images}
        for path in list_shards(self.storage):
            for row in read_shard(self.storage, path) or ():
                if _is_current(row, wanted):
                    del wanted[row['image']]
                    yield row

    def list_failed(self, failed: Sequence[dict[str, str]]) -> str | None:
        """Write ``failed.json`` if something failed, else remove it; gives its path or address."""
        if failed:
            return self._write('failed.json', list(failed))
        self.storage.remove(self.storage.inside('failed.json'))
        return None

    @property
    def shards(self) -> str:
        """Path or address of the shards."""
        return self.storage.address(self.storage.inside(FOLDER))


def _is_current(row: dict[str, Any], wanted: dict[str, BulkImage]) -> bool:
    """Whether a row is of an image that is wanted and has not changed since."""
    image = wanted.get(row['image'])
    return image is not None and all(getattr(image, key) == row[key] for key in _KEYS)


def _shard(place: int, images: list[BulkImage]) -> Shard:
    """A shard whose name tells where it begins and what is in it: written twice, it is one file."""
    digest = hashlib.sha256(json.dumps(images).encode()).hexdigest()[:16]
    return Shard(f'{place:09d}-{digest}.parquet', images)


def _lost(image: BulkImage) -> str:
    return (f'{image.image}: the worker that had it died each time, or its shard was lost: look '
            'for a lack of memory, then give the same command again.')
