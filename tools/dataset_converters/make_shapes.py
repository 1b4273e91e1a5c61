"""Generate the data set ``shapes`` in PASCAL VOC's layout."""
import argparse
import os
from functools import partial
from itertools import islice
from pathlib import Path

import cv2

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.datasets.shapes_generator import generate_sample
from mmseg_instbox.datasets.voc_layout import (
    run_in_processes,
    write_image,
    write_list,
    write_mask,
)
from mmseg_instbox.errors import InvalidInputError

SPLITS = ('train', 'val', 'test')
SMALLEST_SIZE = 64


def write_sample(task: tuple[int, int], root: Path, seed: int, size: int) -> str:
    """Generate image ``task = (split, index)``, write it with its masks and return its name."""
    image, seg_map, inst_map = generate_sample(seed, *task, size=size)
    split, index = task
    name = f'{SPLITS[split]}_{index:06d}'
    write_image(root / 'JPEGImages' / f'{name}.jpg', image)
    write_mask(root / 'SegmentationClass' / f'{name}.png', seg_map)
    write_mask(root / 'SegmentationObject' / f'{name}.png', inst_map)
    return name


def clear_lists(lists: list[Path]) -> None:
    """Remove the lists of an earlier run: a list stands only beside the images that it names.

    Raises InvalidInputError if a list names images that this tool did not make.
    """
    for file in filter(Path.is_file, lists):
        foreign = [name for name in file.read_text().split()
                   if not name.startswith(f'{file.stem}_')]
        if foreign:
            raise InvalidInputError(f'{file}: lists {foreign[0]}, which is no generated image. '
                                    'Choose another folder with --out.')
    for file in lists:
        file.unlink(missing_ok=True)


@user_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('data/shapes'), help='folder to write to')
    parser.add_argument('--num-train', type=int, default=2000, help='images to train on')
    parser.add_argument('--num-val', type=int, default=200, help='images to validate on')
    parser.add_argument('--num-test', type=int, default=0, help='images to test on')
    parser.add_argument('--size', type=int, default=160, help='side of the images in pixels')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    args = parser.parse_args()
    counts = [getattr(args, f'num_{split}') for split in SPLITS]
    if min(counts) < 0 or sum(counts) == 0:
        parser.error(f'--num-train, --num-val, --num-test are {counts}: none may be negative, and '
                     'one must be positive')
    if args.size < SMALLEST_SIZE:
        parser.error(f'--size is {args.size}: the shapes need at least {SMALLEST_SIZE} pixels')
    if args.seed < 0 or args.workers < 1:
        parser.error('--seed must not be negative, and --workers must be at least 1')
    cv2.setNumThreads(0)  # OpenCV's own threads deadlock in forked processes
    lists = [args.out / 'ImageSets' / 'Segmentation' / f'{split}.txt' for split in SPLITS]
    clear_lists(lists)
    tasks = [(split, index) for split, count in enumerate(counts) for index in range(count)]
    work = partial(write_sample, root=args.out, seed=args.seed, size=args.size)
    names = iter(run_in_processes(work, tasks, 'images', args.workers))
    for file, count in zip(lists, counts, strict=True):
        if count:
            write_list(file, islice(names, count))
    print(f'The data set lies in {args.out}.')


if __name__ == '__main__':
    main()
