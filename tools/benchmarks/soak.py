"""Predict thousands of pictures in a row and watch the memory of the process.

One ``InstBoxInferencer`` predicts the sample pictures in several sizes again and again, with masks,
COCO's run lengths and grouping. After each round through the pictures the memory that the process
holds is noted. After the warm-up it must stay what it was, and the answers, too. With glibc, set
the variables of ``docs/reliability.md`` that make it give freed memory back.
"""
import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import numpy as np
from load_test import good_pictures, resident

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.utils.decoding import decode_image

ALLOWED = 0.02  # growth of memory
POINTS = 10  # rows of the table


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'soak', repeats=None)
    parser.add_argument('--inferences', type=common.positive, default=2000,
                        help='default: %(default)s')
    parser.add_argument('--warm-up', type=common.positive, default=200,
                        help='inferences of those before memory counts (default: %(default)s)')
    args = common.parse(parser)
    if args.warm_up >= args.inferences:
        parser.error(f'--warm-up {args.warm_up} is not below --inferences {args.inferences}')
    return args


def rounds(inferencer: Any, pictures: list[np.ndarray]) -> Iterator[list[dict[str, Any]]]:
    """Predicts all pictures, again and again, and gives what was found each time."""
    while True:
        yield [inferencer(picture)['predictions'][0] for picture in pictures]


def soak(inferencer: Any, pictures: list[np.ndarray], inferences: int) -> tuple[list, bool]:
    """Predicts pictures in a row.

    Args:
        inferencer: As ``InstBoxInferencer``.
        pictures: (H, W, 3) uint8 BGR each.
        inferences: How many at least; the last round is finished.

    Returns:
        tuple: After each round the number of inferences, seconds since the start, and MiB that the
        process holds; and whether each round found what the first one did.
    """
    notes, first, same, start = [], None, True, time.perf_counter()
    for found in rounds(inferencer, pictures):
        first = first or found
        same = same and found == first
        notes.append(((len(notes) + 1) * len(pictures), time.perf_counter() - start,
                      resident(os.getpid())))
        if notes[-1][0] >= inferences:
            return notes, same


def growth_of(notes: list[tuple[int, float, float]], warm_up: int) -> float:
    """How much more than at the end of the warm-up memory ever was afterwards, as a share of it."""
    later = [memory for number, _, memory in notes if number >= warm_up]
    return max(later) / later[0] - 1


def main() -> None:
    args = parse_args()
    pictures = [decode_image(content, name) for name, content in good_pictures()]
    inferencer = InstBoxInferencer(device=args.device, show_progress=False)
    notes, same = soak(inferencer, pictures, args.inferences)
    growth = growth_of(notes, args.warm_up)
    shown = notes[::max(1, len(notes) // POINTS)] + notes[-1:]
    rows = [dict(inferences=number, seconds=seconds, memory_mib=memory)
            for number, seconds, memory in dict.fromkeys(shown)]
    common.finish(
        'soak', args, rows, figure='memory_mib',
        goals=[common.Goal('growth of memory after the warm-up', 'at most', ALLOWED, growth),
               common.Goal('rounds with other answers', 'at most', 0, 0 if same else 1)],
        note=f'{len(pictures)} pictures of {Path("demo/samples")} in several sizes, in turn.')
    sys.exit(growth > ALLOWED or not same)


if __name__ == '__main__':
    main()
