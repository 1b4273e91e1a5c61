"""Options that several commands have."""
from collections.abc import Callable, Sequence
from typing import Any

import click

CFG_OPTIONS = '--cfg-options'
FORMAT_NAMES = ('coco', 'png', 'labelme', 'yolo', 'panoptic')  # as apis.formats.FORMATS has them


class CommandWithConfig(click.Command):
    """Takes ``--cfg-options a=1 b=2``, as OpenMMLab's tools do, besides one option a setting."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments after giving each setting an option of its own."""
        return super().parse_args(ctx, spread_settings(args))


def spread_settings(args: Sequence[str]) -> list[str]:
    """Turn ``--cfg-options a=1 b=2`` into ``--cfg-options a=1 --cfg-options b=2``."""
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
    """The settings as a dictionary with dotted keys, read as OpenMMLab's tools read them."""
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
    """The option ``--cfg-options``; ``example`` is a setting for its help."""
    return click.option(
        CFG_OPTIONS, multiple=True, metavar='KEY=VALUE ...', callback=_parse_settings,
        help=f'Settings of the config to override, for example {example}; lists as '
        'key="[a,b]" or key=a,b.')


def launcher(command: Callable) -> Callable:
    """The option ``--launcher``."""
    return click.option(
        '--launcher', type=click.Choice(['none', 'pytorch', 'slurm', 'mpi']), default='none',
        help='How the processes of a run on several GPUs were started.')(command)


def allow_pickle(command: Callable) -> Callable:
    """The option ``--allow-pickle``."""
    return click.option(
        '--allow-pickle', is_flag=True,
        help='Also load a checkpoint that needs full pickle, which can run code that its author '
        'put there: only for files whose origin you trust.')(command)


def model_options(command: Callable) -> Callable:
    """The options ``--model``, ``--weights`` and ``--device`` of commands that predict."""
    for option in (
            click.option('--device', metavar='DEVICE', help='cpu, cuda, cuda:1, ...  '
                         '[default: a GPU if there is one]'),
            click.option('--weights', metavar='FILE',
                         help='Checkpoint, where MODEL is a config or a name.'),
            click.option('--model', metavar='MODEL',
                         help='A checkpoint of ours (.pth, brings its config), an exported model '
                         '(.onnx, .xml), a config, or a name of `instbox models`.  [default: the '
                         'model that comes along]')):
        command = option(command)
    return command


def _parse_formats(_ctx: click.Context, _param: click.Parameter, names: str) -> tuple[str, ...]:
    """The formats of a list with commas, each once; an unknown one is a wrong command line."""
    chosen = dict.fromkeys(name.strip() for name in names.split(',') if name.strip())
    unknown = [name for name in chosen if name not in FORMAT_NAMES]
    if unknown:
        raise click.BadParameter(f'{unknown[0]!r} is none of {", ".join(FORMAT_NAMES)}.')
    return tuple(chosen)


def formats(name: str, **settings: Any) -> Callable:
    """An option for formats of results, separated by commas; ``settings`` are click's."""
    return click.option(name, 'formats', metavar='FORMAT,...', callback=_parse_formats,
                        help=f'Formats of the results: {", ".join(FORMAT_NAMES)}.', **settings)
