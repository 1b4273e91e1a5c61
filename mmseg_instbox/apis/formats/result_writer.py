"""The base class of all writers."""
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils.file_names import relative_name

from .instances import Instances, read_categories, read_instances

if TYPE_CHECKING:
    from mmseg.structures import SegDataSample


class ResultWriter(ABC):
    """Writes predictions to a folder, one image after the other, and keeps no masks in memory.

    Each file is written whole or not at all. In a ``with`` block, :meth:`close` is called unless an
    error ended the block.

    Args:
        out_dir: The folder; it is made if it is missing.
        dataset_meta: ``classes`` and ``thing_classes`` of the model, and optionally ``palette``
            and ``category_ids``.
        score_thr: Instances of a lower score are left out.

    Raises:
        ValueError: ``dataset_meta`` lacks the categories, or ``out_dir`` is a file.
    """
    needs_category_map = False  # whether samples must have ``pred_sem_seg``

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        self.out_dir = Path(out_dir)
        if self.out_dir.exists() and not self.out_dir.is_dir():
            raise InvalidInputError(f'{out_dir} is a file, but results go into a folder: choose '
                                    'another name.')
        self.categories = read_categories(dataset_meta)
        self.score_thr = score_thr
        self._names: dict[str, None] = {}  # in order
        self._closed: Path | None = None

    def add(self, sample: 'SegDataSample', name: str, image_file: str | None = None) -> None:
        """Adds the prediction on one image.

        Args:
            sample: With ``pred_instances``, and ``pred_sem_seg`` for formats with categories; of a
                frame of a video also ``video`` (its name) and ``frame_id``.
            name: Name of the image without suffix, a relative path; files are written to the
                folders in it. Characters that a file name must not have become ``_``.
            image_file: Path or address of the image, if it has one.

        Raises:
            ValueError: The name is taken, the writer is closed, or the sample does not fit the
                categories.
        """
        if self._closed is not None:
            raise InvalidInputError(f'{name}: the results in {self.out_dir} were finished with '
                                    'close(): add images before.')
        instances = read_instances(sample, self.categories, self.score_thr)
        name = relative_name(name)
        if name in self._names:
            raise InvalidInputError(f'{name}: two images of this name; the results in '
                                    f'{self.out_dir} would overwrite each other. Give them '
                                    'different names.')
        self._write(sample, instances, name, None if image_file is None else str(image_file))
        self._names[name] = None

    def close(self) -> Path:
        """Writes what concerns all images, once; returns the result to open, a file or folder."""
        if self._closed is None:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            self._closed = self._finish()
        return self._closed

    @abstractmethod
    def _write(self, sample: 'SegDataSample', instances: Instances, name: str,
               image_file: str | None) -> None:
        """Writes or stores one image under a name that is safe and new."""

    def _finish(self) -> Path:
        """Writes what concerns all images."""
        return self.out_dir

    def __enter__(self) -> 'ResultWriter':
        return self

    def __exit__(self, kind: type | None, *args) -> None:
        if kind is None:
            self.close()
