"""Argument parsers, errors and process settings of the scripts in ``tools/``."""
import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import torch
from mmengine.config import DictAction
from mmengine.logging import MMLogger

from ...errors import InvalidInputError
from ..main import USER_ERRORS


def run_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that OpenMMLab's training and test tools share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='directory for what the run writes')
    _add_cfg_options(parser, 'train_cfg.max_iters=100')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument(
        '--allow-pickle', action='store_true',
        help='also load a checkpoint that needs full pickle, which can run code that its author '
        'put there: only for files whose origin you trust')
    # torchrun sets the environment variable; torch.distributed.launch passes the argument
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser


def dump_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments of the tools that read a dump of ``tools/test.py --out``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the dump was written with')
    parser.add_argument('dump', type=Path, help='directory that tools/test.py --out wrote')
    _add_cfg_options(parser, 'test_dataloader.dataset.ann_file=FILE, as given to tools/test.py')
    parser.add_argument('--workers', type=_at_least_one, default=min(os.cpu_count() or 1, 8),
                        help='number of processes (default here: %(default)s)')
    return parser


def _add_cfg_options(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help=f'override settings of the config, for example {example}; '
        'lists as key="[a,b]" or key=a,b')


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 1 on')
    return int(text)


def check_out_file(file: Path | None) -> None:
    """Raise ValueError if a file that is to be written is a directory."""
    if file is not None and file.is_dir():
        raise InvalidInputError(f'--out {file} is a directory; give the name of a file')


@contextmanager
def user_errors() -> Iterator[None]:
    """Report errors that the user can fix in one sentence, without a traceback.

    These are errors of this package, and files that cannot be read or written; anything else is a
    bug and keeps its traceback. ``INSTBOX_DEBUG=1`` in the environment keeps all tracebacks.
    """
    try:
        yield
    except USER_ERRORS as error:
        if os.environ.get('INSTBOX_DEBUG'):
            raise
        sys.exit(f'{os.path.basename(sys.argv[0])}: {error}')


def quiet_and_single() -> None:
    """Log warnings only, and use one thread: scripts that call this are parallel over images."""
    MMLogger.get_current_instance().setLevel('WARNING')
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def prepare_process(local_rank: int) -> None:
    """Set the environment of a process of a run.

    Args:
        local_rank: Its number on this machine, used unless the launcher set ``LOCAL_RANK``.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    cv2.setNumThreads(0)  # OpenCV's own threads deadlock in forked data loader workers
