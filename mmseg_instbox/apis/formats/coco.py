"""Instances as COCO's JSON with run-length encoded masks."""
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pycocotools import mask as mask_tools

from ...errors import InvalidInputError
from ...utils import replacing
from ...utils.file_names import common_folder, is_http
from ...utils.inputs import path_in_store
from .result_writer import Instances, ResultWriter


class CocoWriter(ResultWriter):
    """Writes ``annotations.json`` in COCO's format, masks as RLE with a string as ``counts``; its
    ``annotations`` are also a list of detections for ``COCO.loadRes``. Frames of videos have
    ``video_id`` and ``frame_id``, and their annotations ``track_id`` if it is known. Annotations go
    to a temporary file as they come, so memory grows only with the number of images."""

    def __init__(self, out_dir: str | Path, dataset_meta: dict, score_thr: float = 0.) -> None:
        super().__init__(out_dir, dataset_meta, score_thr)
        self._images = ImageTable()
        self._count = 0
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self._lines = tempfile.TemporaryFile('w+', dir=self.out_dir)  # an annotation per line

    def _write(self, sample: Any, instances: Instances, name: str, image_file: str | None) -> None:
        image_id = self._images.add(sample, name, image_file, instances.shape)
        found = zip(instances.codes, instances.labels, instances.scores, instances.tracks,
                    strict=True)
        for code, label, score, track in found:
            self._count += 1
            row = dict(
                id=self._count, image_id=image_id, segmentation=code,
                category_id=self.categories.coco_ids[self.categories.thing_ids[label]],
                bbox=mask_tools.toBbox(code).tolist(), area=int(mask_tools.area(code)), iscrowd=0,
                score=round(float(score), 6))
            if track >= 0:
                row['track_id'] = int(track)
            self._lines.write(json.dumps(row) + '\n')

    def _finish(self) -> Path:
        categories = [dict(id=self.categories.coco_ids[index], name=name, supercategory='')
                      for index, name in zip(self.categories.thing_ids,
                                             self.categories.thing_classes, strict=True)]
        content = self._images.content() | dict(categories=categories)
        path = self.out_dir / 'annotations.json'
        self._lines.seek(0)
        with replacing(path) as temporary, temporary.open('w') as file, self._lines as lines:
            file.write(json.dumps(content)[:-1] + ',\n"annotations": [')
            for number, line in enumerate(lines):
                file.write((',\n' if number else '\n') + line.rstrip())
            file.write('\n]}\n')
        return path


class ImageTable:
    """Collects the images and videos of a COCO file and gives each an id."""

    def __init__(self) -> None:
        self._images: dict[int, dict] = {}
        self._files: dict[int, str] = {}
        self._videos: dict[str, int] = {}

    def add(self, sample: Any, name: str, image_file: str | None, shape: tuple[int, int]) -> int:
        """Adds an image of a ``shape`` (H, W), called by its name if it lies in no folder, and
        returns its id: ``img_id`` of the sample, else the next number; ValueError if another has
        it."""
        image_id = int(sample.get('img_id', len(self._images) + 1))
        if image_id in self._images:
            raise InvalidInputError(f'{name}: its id {image_id} is that of '
                                    f'{self._images[image_id]["file_name"]}. Give each image an '
                                    'img_id of its own, or none of them.')
        if image_file is not None and is_http(image_file):
            name += path_in_store(image_file).suffix
        elif image_file is not None:
            self._files[image_id] = (
                image_file if '://' in image_file else os.path.abspath(image_file))
        row = dict(id=image_id, file_name=name, height=shape[0], width=shape[1])
        if 'video' in sample:
            number = sample.get('video_id', len(self._videos) + 1)
            row['video_id'] = self._videos.setdefault(sample.video, number)
        if 'frame_id' in sample:
            row['frame_id'] = sample.frame_id
        self._images[image_id] = row
        return image_id

    def content(self) -> dict:
        """Returns ``info``, ``licenses``, ``images`` by id and, if there are any, ``videos``; a
        ``file_name`` is relative to the folder of all files."""
        root = common_folder(self._files.values())
        names = {key: os.path.relpath(file, root).replace(os.sep, '/') if root else file
                 for key, file in self._files.items()}
        images = [row | dict(file_name=names.get(key, row['file_name']))
                  for key, row in sorted(self._images.items())]
        videos = [dict(id=number, name=name) for name, number in self._videos.items()]
        return dict(info=dict(description='Predictions of mmseg_instbox'), licenses=[],
                    images=images, **(dict(videos=videos) if videos else {}))
