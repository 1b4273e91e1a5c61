"""Images a second of bulk prediction: one process against the workers of Ray on this machine.

Both are the command ``instbox predict`` without drawings, on copies of the same photographs, in
turn. Start-up is left out: each runs on few and on many images, and what counts is the time of
those that the second run has more.
"""
import argparse
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from support import common

from mmseg_instbox.engine.optim_wrappers import has_fast_bfloat16


def copy_images(folder: Path, number: int) -> Path:
    """Copies the photographs, over and over, until the folder has that many."""
    folder.mkdir()
    for index, file in zip(range(number), itertools.cycle(common.PHOTOGRAPHS)):
        shutil.copy(file, folder / f'{index:06d}{file.suffix}')
    return folder


def seconds(engine: str, images: Path, args: argparse.Namespace) -> float:
    """Returns the seconds of the command on a folder, start-up included."""
    options, threads = ['--no-pictures'], args.threads
    if engine == 'bfloat16':
        options += ['--precision', 'bf16']
    if engine == 'ray':
        options, threads = ['--engine', 'ray', '--workers', args.workers], 1
    with tempfile.TemporaryDirectory() as out:
        return common.timed(lambda: common.run_script(
            '-m', 'mmseg_instbox.cli', 'predict', images, '--out', out, '--device', args.device,
            *options, variables=dict(OMP_NUM_THREADS=str(threads))))[0] / 1e3


def main() -> None:
    parser = common.make_parser(__doc__, 'bulk', repeats=2)
    parser.add_argument('--numbers', type=int, nargs=2, default=(32, 232),
                        metavar=('FEW', 'MANY'), help='default: %(default)s')
    parser.set_defaults(workers=os.cpu_count())  # of Ray
    args = common.parse(parser, quick=dict(numbers=(1, 2), workers=1))
    few, many = args.numbers
    names = dict(local=f'one process, {args.threads} threads',
                 ray=f'Ray, {args.workers} workers of a thread each')
    if has_fast_bfloat16(args.device):
        names['bfloat16'] = f'{names["local"]}, --precision bf16'
    rates: dict[str, list[float]] = {engine: [] for engine in names}
    starts: dict[str, list[float]] = {engine: [] for engine in names}
    with tempfile.TemporaryDirectory() as folder:
        folders = [copy_images(Path(folder, str(number)), number) for number in args.numbers]
        for engine in list(names) * args.repeats:
            first, second = (seconds(engine, images, args) for images in folders)
            rates[engine].append((many - few) / max(second - first, 1e-9))
            starts[engine].append(first - few / rates[engine][-1])
    rows = [dict(engine=names[engine], images_a_second=median(found),
                 start_s=median(starts[engine]),
                 million_images_hours=1e6 / 3600 / median(found),
                 ratio=float(np.median(np.divide(found, rates['local']))))
            for engine, found in rates.items()]
    local, ray, *_ = rows
    common.finish(
        'bulk', args, rows, note=f'Start-up is not counted in the images a second. {common.MODEL}',
        figures=[
            common.Figure(f'bulk prediction, {ray["engine"]}; peer: {local["engine"]}',
                          ray['images_a_second'], 'images/s', local['images_a_second'],
                          ray['ratio'], at_least=1.15),
            *(common.Figure(row['engine'], row['images_a_second'], 'images/s', at_least=25.)
              for row in rows if row is not ray)])


if __name__ == '__main__':
    main()
