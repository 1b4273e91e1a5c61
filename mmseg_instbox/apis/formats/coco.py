"""Instances as COCO's JSON with run-length encoded masks."""
import json
import os
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mmseg.structures import SegDataSample
from pycocotools import mask as mask_tools

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils import replacing

from .instances import Categories, Instances, read_categories, read_instances
from .result_writer import ResultWriter


class CocoWriter(ResultWriter):
    """Writes ``annotations.json`` in COCO's format; its ``annotations`` are also a list of
    detections for ``COCO.loadRes``. Annotations go to a temporary file as they come, so memory
    grows only with the number of images."""

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        self._images = ImageTable()
        self._count = 0
        self._lines: Path | None = None  # a file with an annotation per line

    def _write(self, sample: SegDataSample, instances: Instances, name: str,
               image_file: str | None) -> None:
        image_id = self._images.add(sample, name, image_file, instances.shape)
        if self._lines is None:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            handle, lines = tempfile.mkstemp(dir=self.out_dir, prefix='.annotations.')
            os.close(handle)
            self._lines = Path(lines)
            weakref.finalize(self, self._lines.unlink, missing_ok=True)
        with self._lines.open('a') as file:
            for each in _annotations(instances, image_id, self.categories):
                self._count += 1
                file.write(json.dumps(dict(id=self._count, **each)) + '\n')

    def _finish(self) -> Path:
        content = coco_content(self._images.rows(), [], self.categories)
        del content['annotations']
        path = self.out_dir / 'annotations.json'
        with replacing(path) as temporary, temporary.open('w') as file:
            file.write(json.dumps(content)[:-1] + ',\n"annotations": [')
            if self._lines is not None:
                with self._lines.open() as lines:
                    for number, line in enumerate(lines):
                        file.write((',\n' if number else '\n') + line.rstrip())
                self._lines.unlink()
            file.write('\n]}\n')
        return path


def coco_annotations(sample: SegDataSample, image_id: int, dataset_meta: dict,
                     score_thr: float = 0.) -> list[dict]:
    """Turns the instances of a sample into COCO annotations.

    Args:
        sample: With ``pred_instances``.
        image_id: Id of the image.
        dataset_meta: ``classes`` and ``thing_classes``; see :func:`read_categories` for the ids.
        score_thr: Instances of a lower score are left out.

    Returns:
        list[dict]: ``image_id``, ``category_id``, ``segmentation`` (RLE with ``size`` and a string
        ``counts``), ``bbox`` (x, y, width, height of the mask), ``area``, ``iscrowd`` and
        ``score``; :func:`coco_content` adds the ``id``.

    Raises:
        ValueError: See :func:`read_instances`.
    """
    categories = read_categories(dataset_meta)
    return _annotations(read_instances(sample, categories, score_thr), image_id, categories)


def coco_content(images: Sequence[dict], annotations: Sequence[dict],
                 dataset_meta: dict | Categories) -> dict:
    """Puts together the content of a COCO file.

    Args:
        images: ``id``, ``file_name``, ``height`` and ``width`` of each image.
        annotations: As of :func:`coco_annotations`; they are numbered from 1.
        dataset_meta: The categories.
    """
    if not isinstance(dataset_meta, Categories):
        dataset_meta = read_categories(dataset_meta)
    return dict(
        info=dict(description='Predictions of mmseg_instbox'),
        licenses=[],
        images=list(images),
        annotations=[dict(id=i, **each) for i, each in enumerate(annotations, start=1)],
        categories=[dict(id=dataset_meta.coco_ids[index], name=dataset_meta.classes[index],
                         supercategory='') for index in dataset_meta.thing_ids])


def _annotations(instances: Instances, image_id: int, categories: Categories) -> list[dict]:
    found = zip(instances.codes, instances.labels, instances.scores, strict=True)
    return [dict(image_id=image_id,
                 category_id=categories.coco_ids[categories.thing_ids[label]],
                 segmentation=code,
                 bbox=mask_tools.toBbox(code).tolist(),
                 area=int(mask_tools.area(code)),
                 iscrowd=0,
                 score=round(float(score), 6))
            for code, label, score in found]


class ImageTable:
    """Collects the images of a COCO file and gives each an id."""

    def __init__(self) -> None:
        self._images: dict[int, dict] = {}
        self._files: dict[int, str] = {}

    def add(self, sample: SegDataSample, name: str, image_file: str | None,
            shape: tuple[int, int]) -> int:
        """Adds an image.

        Args:
            sample: Its ``img_id``, if it has one, becomes the id; otherwise that is the next
                number from 1 on.
            name: Name of an image without a file.
            image_file: Path or address of the image.
            shape: Height and width in pixels.

        Returns:
            int: Its id.

        Raises:
            ValueError: Another image has this id.
        """
        image_id = int(sample.get('img_id', len(self._images) + 1))
        if image_id in self._images:
            raise InvalidInputError(f'{name}: its id {image_id} is that of '
                                    f'{self._images[image_id]["file_name"]}. Give each image an '
                                    'img_id of its own, or none of them.')
        if image_file is not None and image_file.startswith(('http://', 'https://')):
            name = PurePosixPath(unquote(urlsplit(image_file).path)).name or name
        elif image_file is not None:
            self._files[image_id] = (
                image_file if is_address(image_file) else os.path.abspath(image_file))
        height, width = shape
        self._images[image_id] = dict(id=image_id, file_name=name, height=height, width=width)
        return image_id

    def rows(self) -> list[dict]:
        """Returns the images by id; ``file_name`` is relative to the folder of all files."""
        names = dict(zip(self._files, _relative(self._files.values()), strict=True))
        return [row | dict(file_name=names.get(key, row['file_name']))
                for key, row in sorted(self._images.items())]


def _relative(files: Iterable[str]) -> list[str]:
    """Names relative to the folder of all files; unchanged if they are in several stores."""
    files = list(files)
    try:
        root = os.path.commonpath({os.path.dirname(file) for file in files} or {''})
    except ValueError:  # paths and addresses together
        return files
    return [os.path.relpath(file, root).replace(os.sep, '/') if root else file for file in files]


def is_address(image_file: str) -> bool:
    """Whether an image has an address such as ``https://...`` instead of a path."""
    return '://' in image_file
