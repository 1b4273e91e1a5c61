"""Put SBD's annotations beside PASCAL VOC 2012, for training on both (``trainaug``).

SBD (``benchmark_RELEASE/dataset``) holds MATLAB files ``inst/*.mat`` and ``cls/*.mat`` for the
images of VOC. This writes them as indexed PNG to ``SegmentationClassAug`` and
``SegmentationObjectAug``, copies VOC's own masks where VOC has them, and lists SBD's train and val
images and VOC's train images, without VOC's val images, in ``ImageSets/Segmentation/trainaug.txt``.
It can be run again.
"""
import argparse
import os
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat

from mmseg_instbox.datasets.instance_maps import VOID, check_same_size
from mmseg_instbox.datasets.voc_layout import read_list, run_in_processes, write_list, write_mask

NUM_CATEGORIES = 20
CLASS_DIR, OBJECT_DIR = 'SegmentationClassAug', 'SegmentationObjectAug'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sbd', type=Path, help="SBD's folder with inst/, cls/, train.txt, val.txt")
    parser.add_argument('voc', type=Path, help='VOCdevkit/VOC2012')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    args = parser.parse_args()
    if args.workers < 1:
        parser.error('--workers must be at least 1')
    return args


def read_struct(path: Path, name: str) -> object:
    """Read the struct ``name`` from a MATLAB file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is broken or holds no such struct.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file. Give the folder of SBD that holds inst/ '
                                'and cls/.')
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # scipy raises many types on a broken file
        raise ValueError(f'{path}: broken MATLAB file ({error}). Unpack SBD again.') from error
    if name not in content:
        raise ValueError(f'{path}: holds no struct {name}. Is this a file of SBD?')
    return content[name]


def read_instances(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read ``inst/*.mat``.

    Returns:
        Instance map (H, W) uint8, 0 for none and k for object k; and the category, from 1, of the
        objects, (K,) int64.

    Raises:
        ValueError: If an object has no category among VOC's.
    """
    struct = read_struct(path, 'GTinst')
    inst_map = np.asarray(struct.Segmentation)
    categories = np.atleast_1d(struct.Categories).astype(np.int64)
    if inst_map.max(initial=0) > min(len(categories), VOID - 1):
        raise ValueError(f'{path}: object {inst_map.max()} has no category, the file lists '
                         f'{len(categories)}.')
    if len(categories) and not (1 <= categories.min() and categories.max() <= NUM_CATEGORIES):
        raise ValueError(f'{path}: the categories are {categories.tolist()}, expected 1 to '
                         f'{NUM_CATEGORIES}.')
    return inst_map.astype(np.uint8), categories


def read_categories(path: Path) -> np.ndarray:
    """Read ``cls/*.mat``: category map (H, W) uint8, 0 for background.

    Raises:
        ValueError: If it holds an index that is no category of VOC.
    """
    seg_map = np.asarray(read_struct(path, 'GTcls').Segmentation)
    wrong = (seg_map > NUM_CATEGORIES) & (seg_map != VOID)
    if wrong.any():
        raise ValueError(f'{path}: category {seg_map[wrong][0]}, expected 0 to {NUM_CATEGORIES}.')
    return seg_map.astype(np.uint8)


def convert(name: str, sbd: Path, voc: Path) -> int:
    """Convert one image's annotations.

    Where the two files disagree about a pixel's category, the pixel becomes void in the instance
    map, so that each object keeps one category.

    Returns:
        Number of pixels at which they disagree.
    """
    inst_file, cls_file = sbd / 'inst' / f'{name}.mat', sbd / 'cls' / f'{name}.mat'
    inst_map, categories = read_instances(inst_file)
    seg_map = read_categories(cls_file)
    check_same_size(inst_map.shape, seg_map.shape, str(inst_file), str(cls_file))
    check_same_size(seg_map.shape, image_size(voc, name), str(cls_file), 'the image')
    disagree = np.append(0, categories)[inst_map] != seg_map
    inst_map[disagree] = VOID
    write_checked(voc / CLASS_DIR / f'{name}.png', seg_map)
    write_checked(voc / OBJECT_DIR / f'{name}.png', inst_map)
    return int(disagree.sum())


def image_size(voc: Path, name: str) -> tuple[int, int]:
    """Height and width of an image of VOC in pixels."""
    path = voc / 'JPEGImages' / f'{name}.jpg'
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such image. Unpack VOC 2012 trainval completely.')
    with Image.open(path) as picture:
        return picture.height, picture.width


def copy_masks(name: str, voc: Path) -> None:
    """Copy VOC's own two masks of an image."""
    for source, target in (('SegmentationClass', CLASS_DIR), ('SegmentationObject', OBJECT_DIR)):
        path = voc / source / f'{name}.png'
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such mask. Unpack VOC 2012 trainval completely.')
        with Image.open(path) as picture:
            write_checked(voc / target / path.name, np.array(picture))


def write_checked(path: Path, mask: np.ndarray) -> None:
    """Write a mask and read it back.

    Raises:
        ValueError: If the file holds something else than was written.
    """
    write_mask(path, mask)
    with Image.open(path) as picture:
        if not np.array_equal(np.array(picture), mask):
            raise ValueError(f'{path}: the mask reads back differently. Check the disk.')


def main() -> None:
    args = parse_args()
    lists = args.voc / 'ImageSets' / 'Segmentation'
    own = {split: set(read_list(lists / f'{split}.txt')) for split in ('train', 'val')}
    from_sbd = {name for split in ('train', 'val') for name in read_list(args.sbd / f'{split}.txt')}
    from_voc = sorted(own['train'] | own['val'])
    from_sbd = sorted(from_sbd - set(from_voc))
    run_in_processes(
        partial(copy_masks, voc=args.voc), from_voc, 'images of VOC: masks copied', args.workers)
    differing = run_in_processes(
        partial(convert, sbd=args.sbd, voc=args.voc), from_sbd, 'images of SBD: masks converted',
        args.workers)
    names = sorted((own['train'] - own['val']) | set(from_sbd))
    write_list(lists / 'trainaug.txt', names)
    print(f'{lists / "trainaug.txt"}: {len(names)} images, {len(from_sbd)} of them from SBD. In '
          f'{np.count_nonzero(differing)} of these, {sum(differing)} pixels with two categories '
          'were made void in the instance masks.')


if __name__ == '__main__':
    main()
