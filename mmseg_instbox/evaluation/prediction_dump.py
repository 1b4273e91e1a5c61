"""Dumps category probabilities and boxes of a data set to disk, and reads them back.

A dump is a directory with a small file an image and an index.
"""
import io
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS
from torch import Tensor

from ..errors import InvalidInputError, MissingFileError
from ..utils import atomic_write, write_json
from ..utils.file_names import file_name
from ..utils.foreign_errors import convert_errors
from .sample_reader import category_names, sample_field

VERSION = 1
INDEX = 'index.json'
FOLDER = 'images'
MIN_PROBABILITY = 1e-12  # where the groupers' category map cuts probabilities off, too
KEEP_BOXES = 'a dump needs a model with a box head and model.test_cfg.keep_boxes=True'
WRITE_AGAIN = 'write the dump again with tools/test.py --out'


def image_file(img_path: str) -> str:
    """Name of an image's file in a dump: its own name, and a number that tells folders apart."""
    stem = file_name(Path(img_path).stem)
    return f'{FOLDER}/{stem}-{zlib.crc32(os.fsencode(img_path)):08x}.npz'


def write_image(file: Path, probabilities: Tensor, boxes: Tensor,
                extent: tuple[float, float]) -> None:
    """Write what was predicted for one image; arguments as of :class:`PredictionDump`.

    Probabilities are kept as float16 logarithms relative to a cell's best category, cut off at
    1e-12 as in the groupers' category maps: which category is best stays exact, and borders between
    categories move by about 1/2048 of a cell. Boxes stay as they are, because a box that moves by a
    hundredth of a pixel may tip the grouping.
    """
    logs = probabilities.cpu().float().clamp(min=MIN_PROBABILITY).log()
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        log_scores=(logs - logs.amax(dim=0)).half().numpy(),
        boxes=boxes.cpu().float().numpy(),
        extent=np.array(extent, dtype=np.float64))
    atomic_write(buffer.getvalue(), file)


def write_index(folder: Path, images: list[str], **meta: object) -> Path:
    """Write the index, which says that a dump is complete; see :class:`PredictionDump`."""
    return write_json(dict(version=VERSION, **meta, images=images), folder / INDEX)


class PredictionDump:
    """What ``tools/test.py --out`` wrote.

    ``dump[i]`` is a dict of an image: ``img_path``, ``probs`` (C, h, w) float32 category
    probabilities, ``boxes`` (4, h, w) float32 in image coordinates, and ``extent``, the height and
    width in pixels of the area that the grid covers.

    Args:
        folder: The directory.

    Attributes:
        img_paths (list[str]): The images in the order of the data set.
        meta (dict): ``classes``, ``thing_classes``, ``config``, ``checkpoint`` and ``version``.

    Raises:
        FileNotFoundError: There is no such directory, no index in it, or an image is missing.
        ValueError: The index is broken or of another version, or an image is broken.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        file = self.folder / INDEX
        if not file.is_file():
            raise MissingFileError(f'{folder}: there is no {INDEX}: it is no directory, no dump, '
                                   f'or the run that wrote it was cut off; {WRITE_AGAIN}.')
        with convert_errors(f'{file}: not the index of a dump; {WRITE_AGAIN}'):
            self.meta = json.loads(file.read_text())
            if self.meta['version'] != VERSION:
                raise InvalidInputError(f'{file}: format version {self.meta["version"]}, this '
                                        f'program reads version {VERSION}; {WRITE_AGAIN}.')
            self.img_paths = self.meta.pop('images')

    def __len__(self) -> int:
        return len(self.img_paths)

    def __getitem__(self, index: int) -> dict:
        img_path = self.img_paths[index]
        file = self.folder / image_file(img_path)
        if not file.is_file():
            raise MissingFileError(f'{file}: this image of the dump is missing; {WRITE_AGAIN}.')
        with convert_errors(f'{file}: not a readable image of a dump; {WRITE_AGAIN}'):
            with np.load(file, allow_pickle=False) as arrays:
                logs, boxes = (
                    torch.from_numpy(arrays[key]).float() for key in ('log_scores', 'boxes'))
                extent = tuple(arrays['extent'].tolist())
        return dict(img_path=img_path, probs=logs.softmax(dim=0), boxes=boxes, extent=extent)


@METRICS.register_module()
class DumpPixelBoxes(BaseMetric):
    """Dump the category probabilities and boxes of each image, to be grouped without the network.

    Every image goes to a file of its own as it comes, so memory stays flat; the index is written
    last, and an old one is removed first, so that a dump with an index is complete. Read it with
    :class:`PredictionDump`. It reports no figures.

    Args:
        out_dir (str): Directory of the dump.
        config (str, optional): Name of the config, for the index.
        checkpoint (str, optional): Name of the checkpoint, for the index.
        **kwargs: Arguments of mmengine's ``BaseMetric``.
    """

    def __init__(self, out_dir: str, config: str | None = None, checkpoint: str | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_dir = Path(out_dir)
        self.origin = dict(config=config, checkpoint=checkpoint)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Write the images of a batch; ValueError if one lacks what is dumped."""
        if not self.results:
            (self.out_dir / INDEX).unlink(missing_ok=True)
        for sample in data_samples:
            probs, boxes, extent = (sample_field(sample, key, KEEP_BOXES)
                                    for key in ('pred_probs', 'pred_boxes', 'grid_extent'))
            img_path = str(sample_field(sample, 'img_path', 'pack it in the test pipeline'))
            write_image(self.out_dir / image_file(img_path), probs['data'], boxes['data'], extent)
            self.results.append(img_path)

    def compute_metrics(self, results: list[str]) -> dict[str, float]:
        """Write the index, with the paths of the images in data set order; there are no figures."""
        classes, things, _ = category_names(self.dataset_meta)
        write_index(self.out_dir, results, **self.origin, classes=classes, thing_classes=things)
        print_log(f'{len(results)} images are dumped in {self.out_dir}', logger='current')
        return {}
