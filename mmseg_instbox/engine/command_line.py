"""What ``tools/train.py`` and ``tools/test.py`` have in common."""
import argparse
import os
import sys
from collections.abc import Callable

import cv2
from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from mmseg.registry import RUNNERS


def run_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that OpenMMLab's training and test tools share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='directory for what the run writes')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, for example train_cfg.max_iters=100; '
        'lists as key="[a,b]" or key=a,b')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torchrun sets the environment variable; torch.distributed.launch passes the argument
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser


def build_runner(args: argparse.Namespace,
                 build_config: Callable[[argparse.Namespace], Config]) -> Runner:
    """The runner that the command line asks for.

    A mistake on the command line ends the program with one sentence instead of a traceback.

    Args:
        args: What :func:`run_parser` parsed.
        build_config: Makes the config; its FileNotFoundError and ValueError are user errors.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cv2.setNumThreads(0)  # OpenCV's own threads deadlock in forked data loader workers
    try:
        cfg = build_config(args)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'{os.path.basename(sys.argv[0])}: {error}')
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
