"""Put SBD's annotations beside PASCAL VOC 2012, for training on both (``trainaug``).

SBD (``benchmark_RELEASE/dataset``) holds MATLAB files ``inst/*.mat`` and ``cls/*.mat`` for the
images of VOC. This writes them as indexed PNG to ``SegmentationClassAug`` and
``SegmentationObjectAug``, copies VOC's own masks where VOC has them, and lists SBD's train and val
images and VOC's train images, without VOC's val images, in ``ImageSets/Segmentation/trainaug.txt``.

SBD's objects in VOC's val images, which the SDS evaluation of AP^r counts, go to
``SegmentationClassSBD`` and ``SegmentationObjectSBD`` as they are, without void, and the names of
these images to ``ImageSets/Segmentation/val_sbd.txt``. It can be run again.
"""
import argparse
import os
from functools import partial
from pathlib import Path

import numpy as np

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.datasets.instance_maps import VOID, check_same_size
from mmseg_instbox.datasets.matlab_file import check_indices, read_matlab
from mmseg_instbox.datasets.voc_layout import (
    image_size,
    read_list,
    run_in_processes,
    write_list,
    write_mask,
)
from mmseg_instbox.errors import InvalidInputError, MissingFileError
from mmseg_instbox.utils.image_header import open_image

NUM_CATEGORIES = 20
USUAL_LENGTH = 10582  # of trainaug, made of all of SBD's and VOC 2012's lists
CLASS_DIR, OBJECT_DIR = 'SegmentationClassAug', 'SegmentationObjectAug'
VAL_CLASS_DIR, VAL_OBJECT_DIR = 'SegmentationClassSBD', 'SegmentationObjectSBD'


def read_instances(sbd: Path, voc: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read ``inst/*.mat``, which has the size of the image: an instance map (H, W) uint8, 0 for
    none and k for object k; and its category map (H, W) uint8."""
    path = sbd / 'inst' / f'{name}.mat'
    struct = read_matlab(path, 'GTinst')
    inst_map = check_indices(path, getattr(struct, 'Segmentation', None), 'Segmentation', ndim=2)
    categories = check_indices(path, getattr(struct, 'Categories', None), 'Categories', ndim=1)
    if inst_map.max(initial=0) > min(len(categories), VOID - 1):
        raise InvalidInputError(f'{path}: object {inst_map.max()} has no category, the file lists '
                                f'{len(categories)}.')
    if len(categories) and not (1 <= categories.min() and categories.max() <= NUM_CATEGORIES):
        raise InvalidInputError(f'{path}: the categories are {categories.tolist()}, expected 1 to '
                                f'{NUM_CATEGORIES}.')
    check_same_size(inst_map.shape, image_size(voc / 'JPEGImages' / f'{name}.jpg'), str(path),
                    'the image')
    return inst_map.astype(np.uint8), np.append(0, categories)[inst_map].astype(np.uint8)


def read_categories(path: Path) -> np.ndarray:
    """Read ``cls/*.mat``: category map (H, W) uint8, 0 for background."""
    struct = read_matlab(path, 'GTcls')
    seg_map = check_indices(path, getattr(struct, 'Segmentation', None), 'Segmentation', ndim=2)
    wrong = (seg_map > NUM_CATEGORIES) & (seg_map != VOID)
    if wrong.any():
        raise InvalidInputError(f'{path}: category {seg_map[wrong][0]}, expected 0 to '
                                f'{NUM_CATEGORIES}.')
    return seg_map.astype(np.uint8)


def convert(name: str, sbd: Path, voc: Path) -> int:
    """Convert one image's annotations; returns at how many pixels the two files disagree.

    These become void in the instance map, so that each object keeps one category.
    """
    inst_map, of_objects = read_instances(sbd, voc, name)
    cls_file = sbd / 'cls' / f'{name}.mat'
    seg_map = read_categories(cls_file)
    check_same_size(seg_map.shape, inst_map.shape, str(cls_file), 'the mask of objects')
    disagree = of_objects != seg_map
    inst_map[disagree] = VOID
    write_mask(voc / CLASS_DIR / f'{name}.png', seg_map)
    write_mask(voc / OBJECT_DIR / f'{name}.png', inst_map)
    return int(disagree.sum())


def convert_objects(name: str, sbd: Path, voc: Path) -> None:
    """Write an image's objects for evaluation: the category map is that of the objects."""
    inst_map, seg_map = read_instances(sbd, voc, name)
    write_mask(voc / VAL_CLASS_DIR / f'{name}.png', seg_map)
    write_mask(voc / VAL_OBJECT_DIR / f'{name}.png', inst_map)


def copy_masks(name: str, voc: Path) -> None:
    """Copy VOC's own two masks of an image."""
    for source, target in (('SegmentationClass', CLASS_DIR), ('SegmentationObject', OBJECT_DIR)):
        path = voc / source / f'{name}.png'
        if not path.is_file():
            raise MissingFileError(f'{path}: no such mask. Unpack VOC 2012 trainval completely.')
        with open_image(path, str(path)) as picture:
            write_mask(voc / target / path.name, np.array(picture))


@user_errors()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sbd', type=Path, help="SBD's folder with inst/, cls/, train.txt, val.txt")
    parser.add_argument('voc', type=Path, help='VOCdevkit/VOC2012')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    args = parser.parse_args()
    lists = args.voc / 'ImageSets' / 'Segmentation'
    train, val = (set(read_list(lists / f'{split}.txt')) for split in ('train', 'val'))
    from_sbd = {name for split in ('train', 'val') for name in read_list(args.sbd / f'{split}.txt')}
    for_val = sorted(from_sbd & val)
    from_sbd = sorted(from_sbd - train - val)
    folders = dict(sbd=args.sbd, voc=args.voc)
    run_in_processes(partial(copy_masks, voc=args.voc), sorted(train | val),
                     'images of VOC: masks copied', args.workers)
    differing = run_in_processes(partial(convert, **folders), from_sbd,
                                 'images of SBD: masks converted', args.workers)
    run_in_processes(partial(convert_objects, **folders), for_val,
                     "images of VOC's val: SBD's objects converted", args.workers)
    write_list(lists / 'val_sbd.txt', for_val)
    names = sorted((train - val) | set(from_sbd))
    write_list(lists / 'trainaug.txt', names)
    print(f'{lists / "trainaug.txt"}: {len(names)} images, {len(from_sbd)} of them from SBD. In '
          f'{np.count_nonzero(differing)} of these, {sum(differing)} pixels with two categories '
          'were made void in the instance masks.')
    if len(names) != USUAL_LENGTH:
        print(f'Mind: the usual list has {USUAL_LENGTH} images. Are {args.sbd}/train.txt and '
              'val.txt (8,498 and 2,857 images) and the lists of VOC 2012 (1,464 and 1,449) '
              'complete?')


if __name__ == '__main__':
    main()
