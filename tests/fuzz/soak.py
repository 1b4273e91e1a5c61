"""Predict thousands of images in a row and watch the memory of the process.

One ``InstBoxInferencer`` predicts the sample images in several sizes again and again. After each
round through the images the memory of the process is noted. After the warm-up it must stay what it
was, and so must the predictions; otherwise the exit code is 1. With glibc, set the variables of
``docs/reliability.md`` that make it return freed memory.
"""
import argparse
import os
import sys
import time
from typing import Any

import numpy as np
from serving_load import good_images, resident

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.utils.decoding import decode_image

GROWTH = 0.02  # of memory after the warm-up


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--inferences', type=int, default=2000, help='default: %(default)s')
    parser.add_argument('--warm-up', type=int, default=200,
                        help='inferences of those before memory counts (default: %(default)s)')
    return parser.parse_args()


def soak(inferencer: Any, images: list[np.ndarray], inferences: int
         ) -> tuple[list[tuple[int, float]], bool]:
    """Predicts images in a row, at least ``inferences`` in whole rounds.

    Args:
        inferencer: As ``InstBoxInferencer``.
        images: (H, W, 3) uint8 BGR each.
        inferences: How many at least; the last round is finished.

    Returns:
        tuple: After each round the number of inferences and the MiB that the process holds; and
        whether each round gave the same predictions.
    """
    notes, first, same = [], None, True
    while not notes or notes[-1][0] < inferences:
        found = [inferencer(image)['predictions'][0] for image in images]
        first = first or found
        same = same and found == first
        notes.append(((len(notes) + 1) * len(images), resident(os.getpid())))
    return notes, same


def growth_of(notes: list[tuple[int, float]], warm_up: int) -> float:
    """Returns by which share memory grew at most after the warm-up."""
    later = [memory for number, memory in notes if number >= warm_up]
    return max(later) / later[0] - 1


def main() -> None:
    args = parse_args()
    images = [decode_image(content, name) for name, content in good_images()]
    inferencer, start = InstBoxInferencer(show_progress=False), time.perf_counter()
    notes, same = soak(inferencer, images, args.inferences)
    growth = growth_of(notes, args.warm_up)
    print(f'{notes[-1][0]} inferences in {time.perf_counter() - start:.0f} s; memory grew by '
          f'{growth:.1%} after the warm-up (limit {GROWTH:.0%}) to {notes[-1][1]:.0f} MiB; '
          f'predictions {"stayed the same" if same else "changed"}')
    sys.exit(growth > GROWTH or not same)


if __name__ == '__main__':
    main()
