"""COCO's instances JSON, as data set and as results to convert."""
import copy
import json
import os
from pathlib import Path

import numpy as np
from mmengine.registry import init_default_scope
from PIL import Image

from mmseg_instbox.apis.formats import samples_from_coco
from mmseg_instbox.datasets import CocoInstDataset
from mmseg_instbox.datasets.coco_masks import segmentation_rle
from mmseg_instbox.errors import InstBoxError

from . import require
from .images import encode, picture
from .masks import PIPELINE, SHAPE, check_sample
from .mutations import mutate_bytes, mutate_tree, pick

CLASSES = ('background', 'cell', 'spore')
HEIGHT, WIDTH = SHAPE
AREA = HEIGHT * WIDTH
SEGMENTATIONS = (
    [[2, 2, 12, 2, 12, 12, 2, 12]], [[-5, -5, 500, -5, 500, 500]], [[1e9, 0, 2e9, 0, 1e9, 5]],
    [[100, 100, 120, 100, 120, 120]], [[5, 5, 5, 5, 5, 5]], [[0, 0, 1e6, 1e6] * 3] * 5,
    dict(size=[HEIGHT, WIDTH], counts=[100, 50, AREA - 150]),
    dict(size=[HEIGHT, WIDTH], counts=[0, AREA]), dict(size=[HEIGHT, WIDTH], counts=[AREA]),
    dict(size=[HEIGHT, WIDTH], counts=[2**62, AREA - 2**62]),
    dict(size=[HEIGHT, WIDTH], counts=[10**30]), dict(size=[HEIGHT, WIDTH], counts='P`0o0'),
    dict(size=[WIDTH, HEIGHT], counts=[AREA]), dict(size=[10**9, 10**9], counts=[10**18]),
    dict(size=[HEIGHT, WIDTH], counts='o' * 10**5), dict(counts=''))


def table() -> dict:
    """Two images; polygons, run lengths of both kinds and a crowd."""
    rows = [(1, 1, 3, SEGMENTATIONS[0], 0), (2, 1, 9, [[20, 5, 30, 5, 30, 25, 20, 25]], 0),
            (3, 1, 3, SEGMENTATIONS[6], 1), (4, 2, 9, SEGMENTATIONS[6], 0)]
    return dict(
        images=[dict(id=each, file_name=f'{each}.jpg', height=HEIGHT, width=WIDTH)
                for each in (1, 2)],
        categories=[dict(id=3, name='cell'), dict(id=9, name='spore')],
        annotations=[dict(id=number, image_id=image, category_id=category, iscrowd=crowd,
                          segmentation=segmentation, score=0.5)
                     for number, image, category, segmentation, crowd in rows])


class CocoJson:
    """An instances JSON."""

    def __init__(self, folder: Path) -> None:
        init_default_scope('mmseg')
        self.root = folder / 'coco'
        (self.root / 'images').mkdir(parents=True)
        self.file = self.root / 'instances.json'
        for place in (self.root / 'images' / '1.jpg', self.root / 'images' / '2.jpg',
                      folder / 'secret.jpg'):
            place.write_bytes(encode(Image.fromarray(picture(*SHAPE)), 'JPEG'))

    def write(self, rng: np.random.Generator) -> None:
        """Other segmentations, other values, other bytes."""
        content = table()
        if rng.random() < 0.5:
            row = pick(rng, content['annotations'])
            row['segmentation'] = copy.deepcopy(pick(rng, SEGMENTATIONS))
        if rng.random() < 0.1:
            content['images'][0]['file_name'] = pick(rng, ('../../secret.jpg', '../secret.jpg'))
        if rng.random() < 0.7:
            content = mutate_tree(content, rng)
        data = json.dumps(content).encode()
        self.file.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.2 else data)

    def read(self) -> None:
        """Samples of the data set and of the converter, or an error of one of them."""
        refused = None
        for way in (self._read_dataset, self._read_results):
            try:
                way()
            except InstBoxError as error:
                refused = error
        if refused is not None:
            raise refused

    def _read_dataset(self) -> None:
        data = CocoInstDataset('instances.json', dict(classes=CLASSES), dict(img_path='images'),
                               data_root=str(self.root), pipeline=PIPELINE)
        for index in range(len(data)):
            info = data.get_data_info(index)
            path = Path(os.path.normpath(info['img_path']))
            require(path.is_relative_to(self.root / 'images'), f'{path} lies outside')
            sample = data[index]
            check_sample(sample, SHAPE, 3, data.thing_ids)
            objects = [each for each in info['coco_objects'] if not each['crowd']]
            require(len(sample['data_samples'].gt_instances.ids) <= len(objects),
                    'more objects than annotations')
            for each in objects:
                rle = segmentation_rle(each['segmentation'], SHAPE, 'again')
                require(list(rle['size']) == list(SHAPE), 'a mask of another size')

    def _read_results(self) -> None:
        samples, meta = samples_from_coco(str(self.file))
        names = set()
        for name, sample in samples:
            require(name not in names and os.sep not in name, f'the name {name!r}')
            names.add(name)
            found, seg_map = sample.pred_instances, sample.pred_sem_seg.data[0]
            require(found.masks.shape[1:] == seg_map.shape == sample.ori_shape, 'other sizes')
            require(bool(((found.scores >= 0) & (found.scores <= 1)).all()), 'other scores')
            require(bool((found.labels < len(meta['thing_classes'])).all()), 'unknown labels')
            known = {*range(len(meta['classes'])), 255}
            require(set(np.unique(seg_map).tolist()) <= known, 'unknown categories')
