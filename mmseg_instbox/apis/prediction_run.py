"""Predictions of many images in a directory, so that a run that was stopped can go on."""
import json
import os
import shutil
from pathlib import Path
from typing import Any

from mmseg.structures import SegDataSample

from ..errors import InvalidInputError
from ..utils import write_json
from ..utils.file_names import file_name
from ..utils.inputs import InputImage
from .prediction_record import from_record, to_record


class PredictionRun:
    """Keeps a record of each input that is done, a file that is written whole or not at all.

    An input counts as done if it has a record and has not changed since: same path, size and time.

    Args:
        out_dir: Directory of the run; the records are in ``records/`` there.
        settings: What the predictions depend on, by name; strings and numbers.
        overwrite: Forget what an earlier run left.

    Raises:
        ValueError: The directory holds the records of a run with other settings.
    """

    def __init__(self, out_dir: str | Path, settings: dict[str, Any],
                 overwrite: bool = False) -> None:
        self.out_dir = Path(out_dir)
        self.folder = self.out_dir / 'records'
        self._done: set[str] = set()  # names that were found or made in this process
        settings_file = self.out_dir / 'settings.json'
        if overwrite:
            shutil.rmtree(self.folder, ignore_errors=True)
        before = _read(settings_file) if self.folder.is_dir() else None
        changed = [key for key in settings if before and before.get(key) != settings[key]]
        if changed:
            raise InvalidInputError(f'{self.out_dir} holds the results of a run with another '
                                    f'{" and ".join(changed)}: give another --out, or --overwrite '
                                    'to predict everything again.')
        write_json(settings, settings_file)
        self.folder.mkdir(exist_ok=True)
        for half_written in self.folder.glob('.*'):
            half_written.unlink()

    def is_done(self, image: InputImage) -> bool:
        """Whether there is a record of this input as it is now."""
        if image.name not in self._done:
            record = _read(self._file(image))
            if record is None or record['source'] != _source(image):
                return False
            self._done.add(image.name)
        return True

    def add(self, image: InputImage, sample: SegDataSample | None = None,
            drawn: float | None = None) -> None:
        """Record that an input is done.

        Args:
            image: The input.
            sample: Its prediction, with ``pred_sem_seg`` and ``pred_instances``; None for a video.
            drawn: The lowest score of an instance in the picture that was drawn; None: there is no
                picture.
        """
        prediction = None if sample is None else to_record(sample)
        record = dict(source=_source(image), drawn=drawn, prediction=prediction)
        write_json(record, self._file(image))
        self._done.add(image.name)

    def sample(self, image: InputImage) -> SegDataSample:
        """The prediction of an image that is done, on the CPU."""
        prediction = _read(self._file(image))['prediction']
        return from_record(prediction, name=image.name, img_path=image.path)

    def drawn(self, image: InputImage) -> float | None:
        """The lowest score in the picture of an input that is done; None: it has no picture."""
        return _read(self._file(image))['drawn']

    def _file(self, image: InputImage) -> Path:
        return self.folder / f'{file_name(image.name)}.json'


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text()) if file.is_file() else None


def _source(image: InputImage) -> dict[str, Any]:
    """What tells an input from another one, or from a later one under the same name."""
    if image.path is None or not os.path.isfile(image.path):
        return dict(path=image.path)
    facts = os.stat(image.path)
    return dict(path=os.path.abspath(image.path), size=facts.st_size, time=facts.st_mtime_ns)
