"""The options that several commands share."""
import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..utils import FORMAT_NAMES

CFG_OPTIONS = '--cfg-options'


class CommandWithConfig(click.Command):
    """Accepts ``--cfg-options a=1 b=2``, as OpenMMLab's tools do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments, each setting with an option of its own."""
        return super().parse_args(ctx, spread_settings(args))


def spread_settings(args: Sequence[str]) -> list[str]:
    """Turns ``--cfg-options a=1 b=2`` into ``--cfg-options a=1 --cfg-options b=2``."""
    spread, inside, before = [], False, None
    for arg in args:
        inside = before == CFG_OPTIONS or (inside and '=' in arg and not arg.startswith('-'))
        if inside and before != CFG_OPTIONS:
            spread.append(CFG_OPTIONS)
        spread.append(arg)
        before = arg
    return spread


def _parse_settings(_ctx: click.Context, _param: click.Parameter,
                    settings: tuple[str, ...]) -> dict[str, Any] | None:
    """Reads settings as OpenMMLab's tools do, to a dictionary with dotted keys."""
    if not settings:
        return None
    for setting in settings:
        if not setting.partition('=')[1]:
            raise click.BadParameter(f'{setting!r} is not of the form KEY=VALUE.')
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser()
    parser.add_argument(CFG_OPTIONS, nargs='+', action=DictAction)
    try:
        return parser.parse_args([CFG_OPTIONS, *settings]).cfg_options
    except AssertionError as error:  # brackets that do not close
        raise click.BadParameter(f'{error}.') from error


def _parse_formats(_ctx: click.Context, _param: click.Parameter, names: str) -> tuple[str, ...]:
    """Reads formats separated by commas, each once."""
    chosen = dict.fromkeys(name.strip() for name in names.split(',') if name.strip())
    unknown = [name for name in chosen if name not in FORMAT_NAMES]
    if unknown:
        raise click.BadParameter(f'{unknown[0]!r} is not one of {", ".join(FORMAT_NAMES)}.')
    return tuple(chosen)


def _set_local_rank(_ctx: click.Context, _param: click.Parameter, rank: int | None) -> None:
    """Passes an argument of ``torch.distributed.launch`` on as torchrun does."""
    if rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(rank))


OPTIONS = dict(
    model=click.option(
        '--model', metavar='MODEL', help='A checkpoint of ours (.pth, with its config), an '
        'exported model (.onnx, .xml), a config, or a name of `instbox models`.  [default: the '
        'model of the package]'),
    weights=click.option('--weights', metavar='FILE',
                         help='Checkpoint, where MODEL is a config or a name.'),
    device=click.option('--device', metavar='DEVICE',
                        help='cpu, cuda, cuda:1, ...  [default: a GPU if there is one]'),
    work_dir=click.option('--work-dir', metavar='DIR', help='Directory for checkpoints, metrics '
                          'and logs.  [default: work_dirs/NAME_OF_THE_CONFIG]'),
    cfg_options=click.option(
        CFG_OPTIONS, multiple=True, metavar='KEY=VALUE ...', callback=_parse_settings,
        help='Settings of the config to override, for example model.grouper.min_gain=0.2; lists '
        'as key="[a,b]" or key=a,b.'),
    launcher=click.option(
        '--launcher', type=click.Choice(['none', 'pytorch', 'slurm', 'mpi']), default='none',
        help='How the processes of a run on several GPUs were started.'),
    local_rank=click.option('--local-rank', '--local_rank', type=int, hidden=True,
                            expose_value=False, callback=_set_local_rank),
    allow_pickle=click.option(
        '--allow-pickle', is_flag=True, help='Also load a checkpoint that needs full pickle, which '
        'can run any code: only for files that you trust.'))


def options(*names: str) -> Callable:
    """Adds options of the table ``OPTIONS`` to a command, in the order of their names."""
    def add(command: Callable) -> Callable:
        for name in reversed(names):
            command = OPTIONS[name](command)
        return command
    return add


def formats(*names: str, **settings: Any) -> Callable:
    """Adds an option for formats, separated by commas; ``settings`` are click's."""
    return click.option(*names, 'formats', metavar='FORMAT,...', callback=_parse_formats,
                        help=f'Formats of the results: {", ".join(FORMAT_NAMES)}.', **settings)
