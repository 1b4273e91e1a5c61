"""COCO's JSON of very many images, written as it is read."""
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
from pycocotools import mask as mask_tools

from ..formats.categories import read_categories
from ..formats.coco import coco_content


def write_coco(file: IO[bytes], sizes: dict[str, tuple[int, int]], rows: Iterable[dict[str, Any]],
               dataset_meta: dict, score_thr: float) -> None:
    """Write what ``CocoWriter`` would write, with an image's annotations in memory at a time.

    Args:
        file: Where to.
        sizes: Height and width of each image, by path or address; they get the ids 1, 2, ...
        rows: Their rows, as :func:`~.shards.row_of` gives them, in any order.
        dataset_meta: ``classes`` and ``thing_classes``.
        score_thr: Instances of a lower score are left out.
    """
    frame = coco_content([], [], dataset_meta)
    ids = {image: number for number, image in enumerate(sizes, start=1)}
    images = (dict(id=ids[image], file_name=name, height=size[0], width=size[1])
              for (image, size), name in zip(sizes.items(), _file_names(sizes), strict=True))
    annotations = _annotations(rows, ids, dataset_meta, score_thr)
    lists = dict(images=images, annotations=annotations)
    for number, (key, value) in enumerate(frame.items()):
        file.write(f'{"," if number else "{"}\n{json.dumps(key)}: '.encode())
        if key in lists:
            _write_list(file, lists[key])
        else:
            file.write(json.dumps(value).encode())
    file.write(b'\n}\n')


def _write_list(file: IO[bytes], entries: Iterable[dict]) -> None:
    file.write(b'[')
    for number, entry in enumerate(entries):
        file.write((',\n' if number else '\n').encode() + json.dumps(entry).encode())
    file.write(b'\n]')


def _annotations(rows: Iterable[dict[str, Any]], ids: dict[str, int], dataset_meta: dict,
                 score_thr: float) -> Iterator[dict]:
    categories = read_categories(dataset_meta)
    number, lowest = 0, np.float32(score_thr)  # scores are float32, too
    for row in rows:
        for label, score, counts in zip(row['labels'], row['scores'], row['masks'], strict=True):
            code = dict(size=[row['height'], row['width']], counts=counts)
            area = int(mask_tools.area(code))
            if np.float32(score) < lowest or not area:
                continue
            number += 1
            yield dict(
                id=number, image_id=ids[row['image']],
                category_id=categories.coco_ids[categories.thing_ids[label]], segmentation=code,
                bbox=mask_tools.toBbox(code).tolist(), area=area, iscrowd=0,
                score=round(float(score), 6))


def _file_names(images: Iterable[str]) -> list[str]:
    """Names relative to the folder that all the images lie in; of different stores, the whole."""
    images = list(images)
    folders = {str(PurePosixPath(image).parent) for image in images}
    try:
        root = os.path.commonpath(folders)
    except ValueError:  # paths and addresses together
        return images
    return [os.path.relpath(image, root).replace(os.sep, '/') if root else image
            for image in images]
