"""Masks of indices: VOC's two files an image, and Cityscapes' coded ids."""
from pathlib import Path

import numpy as np
from mmengine.registry import init_default_scope
from PIL import Image

from mmseg_instbox.datasets import CityscapesInstDataset, InstBoxDataset
from mmseg_instbox.datasets.instance_maps import VOID

from . import require
from .images import encode, picture
from .mutations import mutate_bytes, pick

PIPELINE = [dict(type=name) for name in ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs')]
CLASSES = ('background', 'square', 'disc')
SHAPE = (32, 40)


def check_sample(sample: dict, shape: tuple[int, int], num_classes: int,
                 thing_ids: list[int]) -> None:
    """Raise WrongResult unless a packed sample is one that a training can take.

    Args:
        sample: ``inputs`` and ``data_samples``.
        shape: (H, W) of the image.
        num_classes: Number of categories.
        thing_ids: Those of them that have instances.
    """
    truth = sample['data_samples']
    seg_map, inst_map = truth.gt_sem_seg.data[0].numpy(), truth.gt_inst_map.data[0].numpy()
    require(seg_map.shape == inst_map.shape == shape == tuple(sample['inputs'].shape[1:]),
            f'maps of shape {seg_map.shape} and {inst_map.shape}, image {shape}')
    unknown = set(np.unique(seg_map).tolist()) - {*range(num_classes), VOID}
    require(not unknown, f'categories {unknown}')
    found = set(np.unique(inst_map).tolist()) - {0, VOID}
    objects = truth.gt_instances
    require(found == set(objects.ids.tolist()), 'ids that are not those of the map')
    for number, label, box in zip(objects.ids.tolist(), objects.labels.tolist(),
                                  objects.bboxes.tolist(), strict=True):
        rows, columns = np.nonzero(inst_map == number)
        require(set(seg_map[rows, columns].tolist()) == {thing_ids[label]},
                f'object {number} has not the one category {thing_ids[label]}')
        require(box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1],
                f'object {number} has the box {box}')


def scribble(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask with other values in places, still a sound file."""
    mask = mask.copy()
    for _ in range(int(rng.integers(0, 4))):
        top, left = rng.integers(0, mask.shape[0]), rng.integers(0, mask.shape[1])
        height, width = rng.integers(1, 12, 2)
        value = pick(rng, (0, 1, 2, 3, 7, 254, 255, 256, 1000, 24001, 26003, 33999, 34000, 65535))
        mask[top:top + height, left:left + width] = value % (np.iinfo(mask.dtype).max + 1)
    if rng.random() < 0.1:
        mask = mask[:int(rng.integers(1, mask.shape[0] + 1))]
    if rng.random() < 0.05:
        mask = np.stack([mask] * 3, axis=-1).astype(np.uint8)
    return mask


def stored(mask: np.ndarray, rng: np.random.Generator) -> bytes:
    """A mask as PNG; one in three files is damaged."""
    data = encode(Image.fromarray(mask), 'PNG')
    return mutate_bytes(data, rng) if rng.random() < 0.35 else data


def base_masks() -> tuple[np.ndarray, np.ndarray]:
    """Category and instance mask of two squares that touch and a disc."""
    categories, objects = np.zeros((2, *SHAPE), np.uint8)
    categories[4:14, 4:24] = 1
    objects[4:14, 4:14], objects[4:14, 14:24] = 1, 2
    disc = np.hypot(*(np.mgrid[:SHAPE[0], :SHAPE[1]] - np.array([22, 28])[:, None, None])) < 7
    categories[disc], objects[disc] = 2, 3
    categories[0], objects[0] = VOID, VOID
    return categories, objects


class VocMask:
    """VOC's pair of masks."""

    def __init__(self, folder: Path) -> None:
        init_default_scope('mmseg')
        self.folder = folder
        for each in ('JPEGImages', 'SegmentationClass', 'SegmentationObject'):
            (folder / each).mkdir()
        (folder / 'JPEGImages' / 'a.jpg').write_bytes(
            encode(Image.fromarray(picture(*SHAPE)), 'JPEG'))

    def write(self, rng: np.random.Generator) -> None:
        """Both masks, at least one of them changed."""
        categories, objects = base_masks()
        if rng.random() < 0.7:
            objects = scribble(objects.astype(np.uint16) if rng.random() < 0.3 else objects, rng)
        if rng.random() < 0.7:
            categories = scribble(categories, rng)
        for name, mask in (('SegmentationClass', categories), ('SegmentationObject', objects)):
            (self.folder / name / 'a.png').write_bytes(stored(mask, rng))

    def read(self) -> None:
        """A sample with one category an object, or an error."""
        data = InstBoxDataset(metainfo=dict(classes=CLASSES), data_root=str(self.folder),
                              pipeline=PIPELINE)
        sample = data[0]
        check_sample(sample, SHAPE, 3, data.thing_ids)
        categories = np.asarray(Image.open(self.folder / 'SegmentationClass' / 'a.png'))
        require(np.array_equal(sample['data_samples'].gt_sem_seg.data[0], categories),
                'other categories than the file has')


class CityscapesMask:
    """Cityscapes' ``instanceIds``, 16 bits."""

    def __init__(self, folder: Path) -> None:
        init_default_scope('mmseg')
        self.folder = folder
        for each in ('leftImg8bit/train/x', 'gtFine/train/x'):
            (folder / each).mkdir(parents=True)
        (folder / 'leftImg8bit/train/x/a_leftImg8bit.png').write_bytes(
            encode(Image.fromarray(picture(*SHAPE)), 'PNG'))
        self.mask = np.full(SHAPE, 7, np.uint16)
        self.mask[:10], self.mask[12:20, 5:15] = 23, 26001
        self.mask[14:30, 20:30], self.mask[30:], self.mask[0, :5] = 24002, 26, 4

    def write(self, rng: np.random.Generator) -> None:
        """A mask with other ids, in 16 or 32 bits, perhaps damaged."""
        mask = scribble(self.mask, rng)
        if mask.dtype == np.uint16 and rng.random() < 0.3:
            mask = mask.astype(np.int32)
            mask[0, 0] = pick(rng, (-1, 34000, 70000, 2**31 - 1))
        (self.folder / 'gtFine/train/x/a_gtFine_instanceIds.png').write_bytes(stored(mask, rng))

    def read(self) -> None:
        """A sample with one category an object, or an error."""
        data = CityscapesInstDataset(data_root=str(self.folder), pipeline=PIPELINE)
        check_sample(data[0], SHAPE, 19, data.thing_ids)
