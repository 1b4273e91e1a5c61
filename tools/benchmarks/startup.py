"""Time of what has to start before anything is done.

``instbox --help`` as a user waits for it, and what ``import mmseg_instbox`` adds to importing
mmseg, whose modules it hooks into: each import is a fresh process that takes the time itself, and
both take turns. ``first picture`` is the command that a user runs first, model and all.
"""
import argparse
import subprocess
import sys

import common

IMPORT = 'import time; begin = time.perf_counter(); import {}; print(time.perf_counter() - begin)'
BOTH = 'mmseg, mmseg.registry, mmseg.models, mmseg.datasets'
WAYS = {
    'import mmseg': IMPORT.format(BOTH),
    'import mmseg, mmseg_instbox': IMPORT.format(f'mmseg_instbox, {BOTH}'),
    'import mmseg_instbox': IMPORT.format('mmseg_instbox'),
}
PICTURE = """
import sys
from mmseg_instbox.apis import InstBoxInferencer
next(InstBoxInferencer(device='cpu', show_progress=False).stream(sys.argv[1]))
"""


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'startup', repeats=5)
    parser.add_argument('--picture', default=str(common.ROOT / 'demo' / 'samples' / 'chelsea.jpg'),
                        help='(default: %(default)s)')
    return common.parse(parser)


def run(*command: str) -> str:
    """What Python prints with these arguments, in a process that finds the package."""
    return common.run_script(*command)


def imported(code: str) -> float:
    """Milliseconds that an import takes, as it says itself."""
    return float(run('-c', f'import warnings; warnings.simplefilter("ignore"); {code}')
                 .splitlines()[-1]) * 1e3


def time_imports(repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each way, in turn; the first round, which fills the disk cache, is left
    out."""
    rounds = [{name: imported(code) for name, code in WAYS.items()} for _ in range(repeats + 1)]
    return {name: [each[name] for each in rounds[1:]] for name in WAYS}


def time_commands(picture: str, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of whole processes: the help, and the first picture."""
    return common.alternate({
        'instbox --help': lambda: run('-m', 'mmseg_instbox.cli', '--help'),
        'python with nothing to do': lambda: subprocess.run([sys.executable, '-c', ''], check=True),
        'first picture': lambda: run('-c', PICTURE, picture),
    }, repeats, warm_up=1)


def main() -> None:
    args = parse_args()
    times = time_imports(args.repeats) | time_commands(args.picture, args.repeats)
    rows = [dict(what=name, ms=common.median(values), fastest=min(values), slowest=max(values))
            for name, values in times.items()]
    pairs = zip(*(times[name] for name in list(WAYS)[:2]), strict=True)
    added = common.median([with_ours - alone for alone, with_ours in pairs]) / 1e3
    goals = [common.Goal('instbox --help', 'under', 1.0,
                         common.median(times['instbox --help']) / 1e3, ' s'),
             common.Goal('import mmseg_instbox, on top of importing mmseg', 'under', 0.3, added,
                         ' s')]
    common.finish('startup', args, rows, figure='ms', goals=goals)


if __name__ == '__main__':
    main()
