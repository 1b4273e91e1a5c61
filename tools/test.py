"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""
import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmseg_instbox.engine import (
    adapt_to_cpu,
    build_runner,
    check_checkpoint,
    draw_pictures,
    dump_boxes,
    load_config,
    run_parser,
    set_work_dir,
    use_tta,
)
from mmseg_instbox.utils import write_json


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
    cfg = load_config(args.config, args.cfg_options, args.launcher)
    set_work_dir(cfg, args.work_dir)
    check_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    draw_pictures(cfg, args.show_dir, args.show, args.wait_time)
    dump_boxes(cfg, args.out)
    if args.tta:
        use_tta(cfg)
    adapt_to_cpu(cfg)
    return cfg


def main() -> None:
    runner = build_runner(parse_args(), build_config)
    metrics = runner.test()
    if is_main_process():
        path = write_json(metrics, Path(runner.work_dir) / 'metrics.json')
        print_log(f'The figures are in {path}', 'current')


if __name__ == '__main__':
    main()
