"""Train a model: ``python tools/train.py CONFIG``."""
import argparse

from mmengine.config import Config

from mmseg_instbox.engine import (
    adapt_to_cpu,
    build_runner,
    load_config,
    run_parser,
    set_resume,
    set_work_dir,
    use_amp,
)


def parse_args() -> argparse.Namespace:
    parser = run_parser('Train a model.')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a value, from the last one in the work directory')
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (bfloat16 on a CPU)')
    return parser.parse_args()


def build_config(args: argparse.Namespace) -> Config:
    """The config of the run that the command line asks for."""
    cfg = load_config(args.config, args.cfg_options, args.launcher)
    set_work_dir(cfg, args.work_dir)
    set_resume(cfg, args.resume)
    if args.amp:
        use_amp(cfg)
    adapt_to_cpu(cfg)
    return cfg


def main() -> None:
    build_runner(parse_args(), build_config).train()


if __name__ == '__main__':
    main()
