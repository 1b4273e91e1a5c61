"""Write PASCAL Context's annotations as masks into VOC 2010's folder.

PASCAL Context (``trainval/*.mat`` and ``labels.txt`` with 459 names) annotates the images of VOC
2010. This writes ``SegmentationClassContext/*.png`` with the 59 usual categories in the order of
mmseg's ``PascalContextDataset`` (1 to 59; 0 for all others, called background), and VOC's lists
``ImageSets/Main/{train,val}.txt`` as ``ImageSets/SegmentationContext/{train,val}.txt``. It can be
run again.
"""
import argparse
import os
import re
from functools import partial
from pathlib import Path

import numpy as np
from mmseg.datasets import PascalContextDataset

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.datasets.instance_maps import check_same_size
from mmseg_instbox.datasets.matlab_file import check_indices, read_matlab
from mmseg_instbox.datasets.voc_layout import (
    image_size,
    read_list,
    run_in_processes,
    write_list,
    write_mask,
)
from mmseg_instbox.errors import InvalidInputError, MissingFileError

CLASSES = PascalContextDataset.METAINFO['classes']
MASK_DIR = 'SegmentationClassContext'
SPLITS = ('train', 'val')


def category_table(path: Path) -> np.ndarray:
    """Read ``labels.txt``, whose lines are ``2: aeroplane``, as a table uint8: the category, 0 to
    59, of each value of a ``LabelMap``."""
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file. Put the list of the 459 labels beside '
                               'trainval/.')
    names = {}
    for line in filter(str.strip, path.read_text().splitlines()):
        number, colon, name = line.partition(':')
        if not colon or not re.fullmatch('[0-9]{1,5}', number.strip()):
            raise InvalidInputError(f"{path}: the line '{line}' is not of the form '2: aeroplane'.")
        names[name.replace(' ', '')] = int(number)
    missing = [name for name in CLASSES[1:] if name not in names]
    if missing:
        raise InvalidInputError(f'{path}: the labels {missing} are missing. Give the list of all '
                                '459.')
    table = np.zeros(max(names.values()) + 1, dtype=np.uint8)
    table[[names[name] for name in CLASSES[1:]]] = np.arange(1, len(CLASSES))
    return table


def convert(name: str, context: Path, voc: Path, table: np.ndarray) -> None:
    """Write one image's mask."""
    path = context / 'trainval' / f'{name}.mat'
    labels = check_indices(path, read_matlab(path, 'LabelMap'), 'LabelMap', ndim=2)
    check_same_size(labels.shape, image_size(voc / 'JPEGImages' / f'{name}.jpg'), str(path),
                    'its image')
    if labels.max(initial=0) >= len(table):
        raise InvalidInputError(f'{path}: holds the labels {labels.min()} to {labels.max()}, but '
                                f'labels.txt goes from 1 to {len(table) - 1}.')
    write_mask(voc / MASK_DIR / f'{name}.png', table[labels])


@user_errors()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('context', type=Path, help='folder with trainval/ and labels.txt')
    parser.add_argument('voc', type=Path, help='VOCdevkit/VOC2010')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    args = parser.parse_args()
    table = category_table(args.context / 'labels.txt')
    lists = args.voc / 'ImageSets'
    names = {split: read_list(lists / 'Main' / f'{split}.txt') for split in SPLITS}
    work = partial(convert, context=args.context, voc=args.voc, table=table)
    run_in_processes(work, sum(names.values(), []), 'masks written', args.workers)
    for split in SPLITS:
        write_list(lists / 'SegmentationContext' / f'{split}.txt', names[split])
        print(f'{lists / "SegmentationContext" / f"{split}.txt"}: {len(names[split])} images.')


if __name__ == '__main__':
    main()
