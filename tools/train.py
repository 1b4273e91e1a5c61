"""Train a model: ``python tools/train.py CONFIG``."""
import argparse

from mmengine.config import Config

from mmseg_instbox.cli.scripts.arguments import prepare_process, run_parser, user_errors
from mmseg_instbox.engine import run_training, training_config
from mmseg_instbox.utils import distributed_exit


def parse_args() -> argparse.Namespace:
    parser = run_parser('Train a model.')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint; without a value, from the last one in the work '
        'directory')
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (bfloat16 on a CPU)')
    return parser.parse_args()


def build_config(args: argparse.Namespace) -> Config:
    """The config of the run that the command line asks for."""
    return training_config(args.config, work_dir=args.work_dir, cfg_options=args.cfg_options,
                           launcher=args.launcher, resume=args.resume, amp=args.amp,
                           allow_pickle=args.allow_pickle)


def main() -> None:
    args = parse_args()
    prepare_process(args.local_rank)
    with user_errors():
        run_training(build_config(args))


if __name__ == '__main__':
    with distributed_exit():
        main()
