"""Argument parsers, errors and process settings of the scripts in ``tools/``."""
import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch
from mmengine.config import DictAction
from mmengine.logging import MMLogger

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


def _add_cfg_options(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help=f'override settings of the config, for example {example}; '
        'lists as key="[a,b]" or key=a,b')


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
