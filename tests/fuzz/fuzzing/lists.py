"""Lists of images in VOC's layout."""
import os
from pathlib import Path

import numpy as np
from mmengine.registry import init_default_scope
from PIL import Image

from mmseg_instbox.datasets import InstBoxDataset
from mmseg_instbox.datasets.voc_layout import read_list
from mmseg_instbox.errors import InstBoxError

from . import require
from .images import encode, picture
from .masks import CLASSES, PIPELINE, SHAPE, base_masks, check_sample
from .mutations import mutate_bytes, pick

LINES = ('', ' ', '../secret', '/etc/passwd', 'a/../../secret', '..\\secret', 'C:/secret', 'a',
         'a b', 'é', '\x00', 'http://127.0.0.1:9/a', 'x' * 5000, '.', '..', 'sub/c', '~/a', 'A')


class VocList:
    """A list of image names, one a line."""

    def __init__(self, folder: Path) -> None:
        init_default_scope('mmseg')
        self.root = folder / 'voc'
        for name in ('a', 'b', 'sub/c', '../../secret'):  # the last lies outside of the data
            for kind, mask in zip(('SegmentationClass', 'SegmentationObject'), base_masks(),
                                  strict=True):
                self._put(f'{kind}/{name}.png', encode(Image.fromarray(mask), 'PNG'))
            self._put(f'JPEGImages/{name}.jpg', encode(Image.fromarray(picture(*SHAPE)), 'JPEG'))

    def _put(self, name: str, content: bytes) -> None:
        file = Path(os.path.normpath(self.root / name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def write(self, rng: np.random.Generator) -> None:
        """Lines that name what is there, what is not, and what lies outside."""
        lines = ['a', 'b', 'sub/c']
        for _ in range(int(rng.integers(0, 3))):
            lines.insert(int(rng.integers(len(lines) + 1)), pick(rng, LINES))
        content = pick(rng, ('\n', '\n', '\r\n', '\r')).join(lines).encode(
            pick(rng, ('utf-8', 'utf-8', 'utf-8', 'utf-16', 'latin-1')))
        if rng.random() < 0.3:
            content = mutate_bytes(content, rng)
        (self.root / 'list.txt').write_bytes(content)

    def read(self) -> None:
        """Samples that lie in the data's folder, or an error; the converters' reader likewise."""
        try:
            for name in read_list(self.root / 'list.txt'):
                self._check_place(self.root / 'JPEGImages' / f'{name}.jpg')
        except InstBoxError:
            pass
        data = InstBoxDataset(ann_file='list.txt', metainfo=dict(classes=CLASSES),
                              data_root=str(self.root), pipeline=PIPELINE)
        for index in range(len(data)):
            for key in ('img_path', 'seg_map_path', 'inst_map_path'):
                self._check_place(data.get_data_info(index)[key])
            check_sample(data[index], SHAPE, 3, data.thing_ids)

    def _check_place(self, path: str | Path) -> None:
        require(Path(os.path.normpath(path)).is_relative_to(self.root), f'{path} lies outside')
