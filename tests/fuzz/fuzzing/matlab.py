"""SBD's MATLAB files."""
import importlib.util
import io
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from . import require
from .images import encode, picture
from .masks import SHAPE
from .mutations import mutate_bytes, pick

TOOL = Path(__file__).resolve().parents[3] / 'tools' / 'dataset_converters' / 'sbd.py'
ODD = (None, 'x', [], [1, 2, 3], -1, 300, 1e300, float('nan'), np.zeros((0, 0)),
       np.zeros((4, 4, 4)), np.array([1 + 2j]), np.full(SHAPE, 1.5), np.full(SHAPE, -3),
       np.zeros((3, 3), np.uint8), np.full(SHAPE, 21), {'a': 1})


class SbdMat:
    """An image's two files, which the converter turns into two masks."""

    def __init__(self, folder: Path) -> None:
        self.sbd, self.voc = folder / 'sbd', folder / 'voc'
        for each in (self.sbd / 'inst', self.sbd / 'cls', self.voc / 'JPEGImages'):
            each.mkdir(parents=True)
        (self.voc / 'JPEGImages' / 'a.jpg').write_bytes(
            encode(Image.fromarray(picture(*SHAPE)), 'JPEG'))
        spec = importlib.util.spec_from_file_location('sbd', TOOL)
        self.tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.tool)
        self.inst_map = np.zeros(SHAPE, np.uint8)
        self.inst_map[3:9, 2:10], self.inst_map[9:15, 5:20] = 1, 2

    def write(self, rng: np.random.Generator) -> None:
        """Fields of other types and values, or other bytes."""
        seg_map = np.array([0, 15, 7], np.uint8)[self.inst_map]
        column = np.array([[15.], [7.]])
        inst = dict(Segmentation=self.inst_map, Categories=column)
        cls = dict(Segmentation=seg_map, CategoriesPresent=column)
        if rng.random() < 0.6:
            struct = pick(rng, (inst, cls))
            key = pick(rng, list(struct))
            if rng.random() < 0.2:
                struct[key + 's'] = struct.pop(key)
            else:
                struct[key] = pick(rng, ODD)
        for name, content in (('inst', dict(GTinst=inst)), ('cls', dict(GTcls=cls))):
            self._save(self.sbd / name / 'a.mat', content, rng)

    def _save(self, file: Path, content: dict, rng: np.random.Generator) -> None:
        if rng.random() < 0.05:
            content = pick(rng, (dict(other=1), dict(GTinst=5), dict(GTcls='x')))
        struct = next(iter(content.values()))
        if isinstance(struct, dict):
            for key in [key for key, value in struct.items() if value is None]:
                del struct[key]
        buffer = io.BytesIO()
        savemat(buffer, content, do_compression=bool(rng.random() < 0.5))
        data = buffer.getvalue()
        file.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.4 else data)

    def read(self) -> None:
        """Two masks of the image's size with known categories, one an object, or an error."""
        self.tool.convert('a', self.sbd, self.voc)
        seg_map, inst_map = (np.asarray(Image.open(self.voc / folder / 'a.png'))
                             for folder in (self.tool.CLASS_DIR, self.tool.OBJECT_DIR))
        require(seg_map.shape == inst_map.shape == SHAPE, 'masks of another size')
        require(bool(((seg_map <= 20) | (seg_map == 255)).all()), 'unknown categories')
        for number in set(np.unique(inst_map).tolist()) - {0, 255}:
            require(len(np.unique(seg_map[inst_map == number])) == 1,
                    f'object {number} has several categories')
