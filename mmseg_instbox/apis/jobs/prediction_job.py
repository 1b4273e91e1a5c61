"""The predictions of many images, which a stopped job resumes."""
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from ...errors import InvalidInputError
from ...utils.foreign_errors import convert_errors, describe
from ..formats import FORMATS
from .listing import JobInput, output_names
from .records import KEYS, from_record, list_shards, read_shard, write_shard
from .storage import Storage, is_url
from .worker import Failures, Shard

SHARD_SIZE = 100  # images
READERS = 8  # shards that are read at once, for stores with high latency
Execute = Callable[[Sequence[Shard]], Iterable[tuple[int, Failures]]]


class PredictionJob:
    """Predictions of many images, kept as shards in a directory here or in an object store.

    The directory has ``settings.json``; ``parquet/``, the shards; and in the end a folder for each
    format and, if anything failed, ``failed.json``. An input is done if a shard has it and its size
    and time have not changed since.

    Args:
        storage: The directory.
        settings: What the predictions depend on, by name; strings and numbers.
        images: All images, those that are done included.
        videos: All videos; they are marked as done with :meth:`finish`.
        overwrite: Whether to forget what an earlier job left.
        shard_size: Largest number of images in a shard; what a stop costs.

    Raises:
        ValueError: The directory holds the results of a job with other settings.
    """

    def __init__(self, storage: Storage, settings: dict[str, Any], images: Sequence[JobInput],
                 videos: Sequence[JobInput] = (), overwrite: bool = False,
                 shard_size: int = SHARD_SIZE) -> None:
        self.storage = storage
        self.images, self.videos = images, videos
        self.shard_size = shard_size
        self.done: set[str] = set()  # path or address of each input that a shard holds
        self.failed: dict[str, str] = {}  # why, by path or address of the input
        self.names = output_names(images, videos)
        self._current = {each[:len(KEYS)] for each in (*images, *videos)}
        self.settings = settings  # and what `remember` adds
        shards = list_shards(storage)
        if overwrite:
            for shard in shards:
                storage.remove(shard)
        elif storage.exists('settings.json'):
            with convert_errors(f'{storage.address("settings.json")} is not of a prediction: give '
                                'another --out', ValueError, KeyError, TypeError):
                earlier = json.loads(storage.read('settings.json'))
                changed = [key for key in settings if earlier[key] != settings[key]]
            if changed and shards:
                raise InvalidInputError(
                    f'{storage.address()} holds the results of a job with another '
                    f'{" and ".join(changed)}: give another --out, or --overwrite to predict '
                    'everything again.')
            self.settings = earlier if shards else settings
        self._write('settings.json', self.settings)
        self.find_done()

    def remember(self, key: str, value: Any) -> None:
        """Adds a value to ``settings.json``, beside the settings."""
        if self.settings.get(key) != value:
            self.settings = {**self.settings, key: value}
            self._write('settings.json', self.settings)

    def _write(self, name: str, content: Any) -> str:
        self.storage.write((json.dumps(content, indent=2) + '\n').encode(), name)
        return self.storage.address(name)

    def find_done(self) -> None:
        """Reads which inputs the shards hold; removes broken shards, which a store may leave."""
        self.done, shards = set(), list_shards(self.storage)
        read = partial(read_shard, self.storage, columns=KEYS)
        with ThreadPoolExecutor(READERS) as pool:
            for shard, rows in zip(shards, pool.map(read, shards), strict=True):
                if rows is None:
                    self.storage.remove(shard)
                self.done.update(row['image'] for row in rows or () if self._is_current(row))

    def _is_current(self, row: dict[str, Any]) -> bool:
        """Whether a row belongs to an input of the job that has not changed since."""
        return tuple(row[key] for key in KEYS) in self._current

    @property
    def num_done(self) -> int:
        """Number of images that are done."""
        return sum(each.image in self.done for each in self.images)

    def waiting(self, number: int = 1) -> list[Shard]:
        """Returns shards of the images that are not done, at least ``number`` if that many are."""
        left = [(place, image) for place, image in enumerate(self.images)
                if image.image not in self.done]
        size = max(1, min(self.shard_size, len(left) // number))
        parts = [left[start:start + size] for start in range(0, len(left), size)]
        return [_shard(f'{part[0][0]:09d}', [image for _, image in part]) for part in parts]

    def predict(self, execute: Execute, tick: Callable[[int], Any] = lambda number: None,
                num_shards: int = 1) -> None:
        """Predicts the images that are not done; those that are not done then are in ``failed``.

        ``execute`` calls a ``ShardWorker`` with each shard and yields what it returns, in any order
        and without shards that could not be done; ``tick`` gets the number of images since then;
        for ``num_shards`` see :meth:`waiting`.
        """
        reasons: dict[str, str] = {}
        try:
            for done, failures in execute(self.waiting(num_shards)):
                reasons.update(failures)
                tick(done + len(failures))
        finally:
            self.find_done()
        self.failed |= {each.image: reasons.get(each.image, (
            f'{each.image}: its worker died each time, or its shard was lost: check for a lack of '
            'memory, then run the same command again.'))
            for each in self.images if each.image not in self.done}

    def finish(self, video: JobInput, rows: Sequence[dict[str, Any]]) -> None:
        """Writes the rows of the frames of a video, which is done then."""
        write_shard(rows, {}, self.storage, _shard('video', [video]).name)
        self.done.add(video.image)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields the row of each image and frame that is done, with one shard in memory."""
        seen: set[str] = set()
        for shard in list_shards(self.storage):
            rows = [row for row in read_shard(self.storage, shard) or ()
                    if self._is_current(row) and row['image'] not in seen]
            yield from rows
            seen |= {row['image'] for row in rows}

    def compile(self, formats: Sequence[str], dataset_meta: dict, score_thr: float,
                tick: Callable[[int], Any] = lambda number: None) -> list[str]:
        """Writes all predictions from ``score_thr`` on in other formats, each with a directory of
        its name, and calls ``tick`` with 1 after each image or frame.

        Returns path or address of each result; none if no input is done. What a format fails at is
        in ``failed``.
        """
        if not self.done:
            return []
        local = self.storage.is_local
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(self.storage.root if local else temporary)
            writers = [FORMATS[name](folder / name, dataset_meta, score_thr) for name in formats]
            category_map = any(writer.needs_category_map for writer in writers)
            # images are numbered from 1 on in the order of the job, then frames
            images = [each.image for each in self.images if each.image in self.done]
            ids, following = dict(zip(images, count(1), strict=False)), count(len(images) + 1)
            for row in self.rows():
                name, image, frame = self.names[row['image']], row['image'], row.get('frame')
                metainfo: dict[str, Any] = dict(img_id=ids.get(image) or next(following))
                if frame is not None:
                    metainfo |= dict(video=name, frame_id=frame)
                    name, image = f'{name}_{frame:06d}', None
                elif not local and not is_url(image):  # in a store, paths are relative to nothing
                    image = f'file://{image}'
                try:
                    sample = from_record(row, category_map, **metainfo)
                    for writer in writers:
                        writer.add(sample, name, image)
                except OSError:  # results cannot be written
                    raise
                except Exception as error:
                    self.failed[row['image']] = describe(error, row['image'])
                tick(1)
            written = [Path(writer.close()).relative_to(folder) for writer in writers]
            for name in () if local else formats:
                self.storage.upload(folder / name, name)
        return [self.storage.address(path.as_posix()) for path in written]

    def write_failed(self) -> str | None:
        """Writes ``failed.json`` if anything failed, else removes it; returns where it is."""
        if self.failed:
            return self._write('failed.json', [dict(input=image, reason=reason)
                                               for image, reason in self.failed.items()])
        self.storage.remove('failed.json')
        return None


def _shard(place: str, images: list[JobInput]) -> Shard:
    """Names a shard by its place and content, so that writing it twice gives one file."""
    digest = hashlib.sha256(json.dumps(images).encode()).hexdigest()[:16]
    return Shard(f'{place}-{digest}.parquet', images)
