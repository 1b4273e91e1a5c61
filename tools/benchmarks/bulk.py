"""Images a second of bulk prediction: one process against the workers of Ray on this machine.

Both are the command ``instbox predict`` without drawings, on copies of the same photographs, in
turn. Start-up is left out: each runs on few and on many images, and what counts is the time of
those that the second run has more.
"""
import argparse
import os
import shutil
import tempfile
from pathlib import Path

import common

ENGINES = dict(local=['--no-pictures'], ray=['--engine', 'ray'])


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'bulk', repeats=2)
    parser.add_argument('--images', type=Path, nargs='+',
                        default=sorted(common.SAMPLES.glob('*.jpg')), help='default: demo/samples')
    parser.add_argument('--numbers', type=common.positive, nargs=2, default=(32, 232),
                        metavar=('FEW', 'MANY'), help='default: %(default)s')
    parser.add_argument('--workers', type=common.positive, default=os.cpu_count() or 1,
                        help='of Ray (default: %(default)s)')
    return common.parse(parser, quick=dict(numbers=(1, 2), workers=1))


def copy_images(files: list[Path], folder: Path, number: int) -> Path:
    """Copies files, over and over, until the folder has that many."""
    folder.mkdir()
    for index in range(number):
        file = files[index % len(files)]
        shutil.copy(file, folder / f'{index:06d}{file.suffix}')
    return folder


def seconds(engine: str, images: Path, args: argparse.Namespace) -> float:
    """Returns the seconds of the command on a folder, start-up included."""
    more = [*ENGINES[engine], *(['--workers', args.workers] if engine == 'ray' else [])]
    threads = str(args.threads if engine == 'local' else 1)
    with tempfile.TemporaryDirectory() as out:
        return common.milliseconds(lambda: common.run_script(
            '-m', 'mmseg_instbox.cli', 'predict', images, '--out', out, '--device', args.device,
            *more, variables=dict(OMP_NUM_THREADS=threads))) / 1e3


def main() -> None:
    args = parse_args()
    few, many = args.numbers
    rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    starts: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        folders = [copy_images(args.images, Path(folder, str(number)), number)
                   for number in args.numbers]
        for engine in list(ENGINES) * args.repeats:
            times = [seconds(engine, images, args) for images in folders]
            rates[engine].append((many - few) / max(times[1] - times[0], 1e-9))
            starts[engine].append(times[0] - few / rates[engine][-1])
    names = dict(local=f'one process, {args.threads} threads',
                 ray=f'Ray, {args.workers} workers of a thread each')
    rows = [dict(engine=names[engine], images_a_second=common.median(found),
                 start_s=common.median(starts[engine]),
                 million_images_hours=1e6 / 3600 / common.median(found),
                 ratio=common.ratio(found, rates['local']).median)
            for engine, found in rates.items()]
    common.finish('bulk', args, rows, figure='images_a_second',
                  note=f'Start-up is not counted in the images a second. {common.MODEL}', goals=[
                      common.Goal('images a second of one process', 'at least', 25.,
                                  rows[0]['images_a_second']),
                      common.Goal('Ray over one process', 'at least', 1.15, rows[1]['ratio'])])


if __name__ == '__main__':
    main()
