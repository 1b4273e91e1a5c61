"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""
import argparse

from mmengine.config import Config

from mmseg_instbox.cli.scripts.arguments import prepare_process, run_parser, user_errors
from mmseg_instbox.engine import check_architecture, start_runner, testing_config, write_metrics
from mmseg_instbox.utils import distributed_exit


def parse_args() -> argparse.Namespace:
    parser = run_parser('Evaluate a checkpoint on the test set; writes WORK_DIR/metrics.json.')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out', metavar='DIR',
        help='directory for the category scores and boxes of each image, for tools/analysis_tools')
    parser.add_argument(
        '--tta', action='store_true',
        help='test-time augmentation: what tta_pipeline of the config says, or mirror images')
    parser.add_argument('--show', action='store_true', help='show each prediction in a window')
    parser.add_argument('--show-dir', help='directory for pictures of the predictions')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that a window stays (--show)')
    return parser.parse_args()


def build_config(args: argparse.Namespace) -> Config:
    """The config of the run that the command line asks for."""
    return testing_config(
        args.config, args.checkpoint, work_dir=args.work_dir, cfg_options=args.cfg_options,
        launcher=args.launcher, out=args.out, tta=args.tta, show=args.show, show_dir=args.show_dir,
        wait_time=args.wait_time, allow_pickle=args.allow_pickle)


def main() -> None:
    args = parse_args()
    prepare_process(args.local_rank)
    with user_errors():
        cfg = build_config(args)
    runner = start_runner(cfg)
    with user_errors():
        check_architecture(runner, args.allow_pickle)
    write_metrics(runner, runner.test())


if __name__ == '__main__':
    with distributed_exit():
        main()
