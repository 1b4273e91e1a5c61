"""Time of commands from start to end, against the import that they need.

Whole processes take turns: Python importing torch and mmseg's models, the same with this package,
and commands of ``instbox`` as a user calls them, with the model in ``demo/``, two small images and
the config of the model.
"""
import tempfile
from pathlib import Path
from statistics import median

from support import common

CLI = ('-m', 'mmseg_instbox.cli')
IMPORT = 'import torch, mmseg.models'
WITH_OURS = f'import mmseg_instbox; {IMPORT}'
# command -> most times the import that it should take
RATIOS = {'instbox predict': 1.1, 'instbox predict, exported model': 0.6,
          'instbox info CONFIG': 1.3}
LIMITS = {'instbox --help': 1000., 'instbox convert': 800.}  # command -> most milliseconds


def commands(folder: Path) -> dict[str, list[object]]:
    """Returns Python's arguments for each process that is timed; results go to ``folder``."""
    images, found = sorted(common.SAMPLES.glob('*.jpg')), folder / 'predictions'
    predict = [*CLI, 'predict', *images, '--out', found, '--overwrite', '--device', 'cpu']
    return {
        IMPORT: ['-W', 'ignore', '-c', IMPORT],
        WITH_OURS: ['-W', 'ignore', '-c', WITH_OURS],
        'instbox --help': [*CLI, '--help'],
        'instbox predict': predict,
        'instbox predict, exported model': [*predict, '--model', folder / 'model.onnx'],
        'instbox convert': [*CLI, 'convert', found / 'coco' / 'annotations.json', '--format',
                            'yolo', '--out', folder / 'converted'],
        'instbox info CONFIG': [*CLI, 'info', common.DEMO],
    }


def main() -> None:
    parser = common.make_parser(__doc__, 'startup', repeats=5, device=False)
    args = common.parse(parser, quick={})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common.run_script(*CLI, 'export', folder / 'model.onnx')
        times = common.alternate(
            {what: lambda command=command: common.run_script(*command)
             for what, command in commands(folder).items()}, args.repeats)
    rows = common.compare(times, 'what', 'over_the_import', over_first=True)
    found = {row['what']: row for row in rows}
    added = median([ours - alone for ours, alone in
                    zip(times[WITH_OURS], times[IMPORT], strict=True)])
    common.finish('startup', args, rows, note=common.MODEL, figures=[
        *(common.Figure(f'{what}; peer: `{IMPORT}`', found[what]['ms'], 'ms', rows[0]['ms'],
                        found[what]['over_the_import'], limit) for what, limit in RATIOS.items()),
        *(common.Figure(what, found[what]['ms'], 'ms', at_most=limit)
          for what, limit in LIMITS.items()),
        common.Figure('import mmseg_instbox, on top of that', added, 'ms', at_most=300.)])


if __name__ == '__main__':
    main()
