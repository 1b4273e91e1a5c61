"""Images a second of bulk inference: one process against the workers of Ray on this machine.

Both are the command ``instbox predict`` without pictures, on copies of the same photographs, one
after the other and again. Start-up is left out: each runs on few and on many images, and what
counts is the time of those that the one has more.
"""
import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import common

from mmseg_instbox.utils.inputs import IMAGE_SUFFIXES

ENGINES = dict(local=['--no-pictures'], ray=['--engine', 'ray'])


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'bulk', repeats=2)
    parser.add_argument('--images', type=Path, default=common.ROOT / 'demo' / 'samples',
                        help='folder of photographs (default: %(default)s)')
    parser.add_argument('--numbers', type=common.positive, nargs=2, default=(32, 232),
                        metavar=('FEW', 'MANY'), help='default: %(default)s')
    parser.add_argument('--workers', type=common.positive, default=os.cpu_count() or 1,
                        help='of Ray (default: %(default)s)')
    args = common.parse(parser)
    if args.numbers[0] >= args.numbers[1]:
        parser.error('--numbers are few and many images: the first must be smaller')
    return args


def copy_images(source: Path, target: Path, number: int) -> Path:
    """A folder of ``number`` photographs, those of another folder over and over."""
    files = sorted(each for each in source.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
    target.mkdir()
    for index in range(number):
        file = files[index % len(files)]
        shutil.copy(file, target / f'{index:06d}{file.suffix}')
    return target


def seconds(engine: str, images: Path, args: argparse.Namespace) -> float:
    """Seconds of the command on a folder, start-up included.

    Raises:
        RuntimeError: The command failed.
    """
    more = [*ENGINES[engine], *(['--workers', args.workers] if engine == 'ray' else [])]
    threads = args.threads if engine == 'local' else 1
    with tempfile.TemporaryDirectory() as out:
        begin = time.perf_counter()
        common.run_script('-m', 'mmseg_instbox.cli', 'predict', images, '--out', out, '--device',
                          args.device, *more, variables=dict(OMP_NUM_THREADS=str(threads)))
        return time.perf_counter() - begin


def main() -> None:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folders = [copy_images(args.images, Path(folder, str(number)), number)
                   for number in args.numbers]
        rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        starts: dict[str, list[float]] = {engine: [] for engine in ENGINES}
        few, many = args.numbers
        for _ in range(args.repeats):
            for engine, found in rates.items():
                times = [seconds(engine, images, args) for images in folders]
                found.append((many - few) / max(times[1] - times[0], 1e-9))
                starts[engine].append(times[0] - few / found[-1])
    names = dict(local=f'one process, {args.threads} threads',
                 ray=f'Ray, {args.workers} workers of a thread each')
    rows = [dict(engine=names[engine], images_a_second=common.median(found),
                 start_s=common.median(starts[engine]),
                 million_images_hours=1e6 / 3600 / common.median(found))
            for engine, found in rates.items()]
    speed_up = common.ratio(rates['ray'], rates['local'])
    rows[1]['ratio'] = speed_up.median
    common.finish('bulk', args, rows, figure='images_a_second',
                  note='Start-up is not counted in the images a second.')


if __name__ == '__main__':
    main()
