"""Options that several commands have."""
from collections.abc import Callable, Sequence
from typing import Any

import click

CFG_OPTIONS = '--cfg-options'
FORMAT_NAMES = ('coco', 'png', 'labelme', 'yolo', 'panoptic')  # as in apis.formats.FORMATS


class CommandWithConfig(click.Command):
    """Accepts ``--cfg-options a=1 b=2``, as OpenMMLab's tools do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments, each setting with an option of its own."""
        return super().parse_args(ctx, spread_settings(args))


def spread_settings(args: Sequence[str]) -> list[str]:
    """Turns ``--cfg-options a=1 b=2`` into ``--cfg-options a=1 --cfg-options b=2``."""
    spread, inside = [], False
    for position, arg in enumerate(args):
        after = position > 0 and args[position - 1] == CFG_OPTIONS
        inside = after or (inside and '=' in arg and not arg.startswith('-'))
        if inside and not after:
            spread.append(CFG_OPTIONS)
        spread.append(arg)
    return spread


def _parse_settings(_ctx: click.Context, _param: click.Parameter,
                    settings: tuple[str, ...]) -> dict[str, Any] | None:
    """Reads settings as OpenMMLab's tools do, to a dictionary with dotted keys."""
    if not settings:
        return None
    for setting in settings:
        if not setting.partition('=')[1]:
            raise click.BadParameter(f'{setting!r} is not of the form KEY=VALUE.')
    import argparse

    from mmengine.config import DictAction
    parser = argparse.ArgumentParser()
    parser.add_argument(CFG_OPTIONS, nargs='+', action=DictAction)
    try:
        return parser.parse_args([CFG_OPTIONS, *settings]).cfg_options
    except AssertionError as error:  # brackets that do not close
        raise click.BadParameter(f'{error}.') from error


def cfg_options(example: str) -> Callable:
    """Adds the option ``--cfg-options``; ``example`` is a setting for its help."""
    return click.option(
        CFG_OPTIONS, multiple=True, metavar='KEY=VALUE ...', callback=_parse_settings,
        help=f'Settings of the config to override, for example {example}; lists as '
        'key="[a,b]" or key=a,b.')


def launcher(command: Callable) -> Callable:
    """Adds the option ``--launcher``."""
    return click.option(
        '--launcher', type=click.Choice(['none', 'pytorch', 'slurm', 'mpi']), default='none',
        help='How the processes of a run on several GPUs were started.')(command)


def allow_pickle(command: Callable) -> Callable:
    """Adds the option ``--allow-pickle``."""
    return click.option(
        '--allow-pickle', is_flag=True,
        help='Also load a checkpoint that needs full pickle, which can run any code: only for '
        'files that you trust.')(command)


def model_options(command: Callable) -> Callable:
    """Adds the options ``--model``, ``--weights`` and ``--device``."""
    for option in (
            click.option('--device', metavar='DEVICE', help='cpu, cuda, cuda:1, ...  '
                         '[default: a GPU if there is one]'),
            click.option('--weights', metavar='FILE',
                         help='Checkpoint, where MODEL is a config or a name.'),
            click.option('--model', metavar='MODEL',
                         help='A checkpoint of ours (.pth, brings its config), an exported model '
                         '(.onnx, .xml), a config, or a name of `instbox models`.  [default: the '
                         'model of the package]')):
        command = option(command)
    return command


def _parse_formats(_ctx: click.Context, _param: click.Parameter, names: str) -> tuple[str, ...]:
    """Reads formats separated by commas, each once."""
    chosen = dict.fromkeys(name.strip() for name in names.split(',') if name.strip())
    unknown = [name for name in chosen if name not in FORMAT_NAMES]
    if unknown:
        raise click.BadParameter(f'{unknown[0]!r} is not one of {", ".join(FORMAT_NAMES)}.')
    return tuple(chosen)


def formats(*names: str, **settings: Any) -> Callable:
    """Adds an option for formats, separated by commas; ``settings`` are click's."""
    return click.option(*names, 'formats', metavar='FORMAT,...', callback=_parse_formats,
                        help=f'Formats of the results: {", ".join(FORMAT_NAMES)}.', **settings)
