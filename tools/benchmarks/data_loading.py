"""How long a training waits for its data.

Runs a few iterations of a config on real images, with crops of the given size, once for each number
of loader workers. The times are those that MMEngine logs: ``data_time`` is how long the loop waited
for the next batch, ``time`` the whole iteration. The first iterations fill the queues and do not
count. "load an image" is one worker's work alone: read, decode, transform.
"""
import argparse
import tempfile
import time
from pathlib import Path

import common
import cv2
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import DATASETS

from mmseg_instbox.engine import adapt_to_cpu, load_config

CONFIG = 'configs/instbox/instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352.py'
SKIPPED = 3


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'data_loading', repeats=None)
    parser.add_argument('--config', default=str(common.ROOT / CONFIG))
    parser.add_argument('--data-root', default=str(common.ROOT / 'data' / 'voc_mini' / 'VOCdevkit' /
                                                   'VOC2012'), help='(default: %(default)s)')
    parser.add_argument('--crop', type=common.positive, default=320, help='pixels (%(default)s)')
    parser.add_argument('--batch', type=common.positive, help="images; default: the config's")
    parser.add_argument('--workers', type=int, nargs='+', default=(2, 1, 0),
                        help='numbers of loader processes; 0 loads in the training itself '
                             '(default: %(default)s)')
    parser.add_argument('--iterations', type=common.positive, default=15,
                        help=f'that count, after {SKIPPED} (default: %(default)s)')
    args = common.parse(parser)
    if min(args.workers) < 0:
        parser.error('--workers must be at least 0')
    return args


def make_config(args: argparse.Namespace, workers: int, work_dir: str) -> Config:
    """The config with crops of that size and nothing but a few iterations of training."""
    cfg = load_config(args.config)
    loader = cfg.train_dataloader
    loader.num_workers, loader.persistent_workers = workers, workers > 0
    if not workers:
        loader.pop('timeout', None)  # torch takes one for workers alone
    loader.batch_size = args.batch or loader.batch_size
    loader.dataset.data_root = args.data_root
    for step in loader.dataset.pipeline:
        if step['type'] == 'RandomCrop':
            step['crop_size'] = (args.crop, args.crop)
    for part in ('val', 'test'):
        for key in (f'{part}_dataloader', f'{part}_evaluator', f'{part}_cfg'):
            cfg[key] = None
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=SKIPPED + args.iterations,
                         val_interval=10**9)
    cfg.default_hooks = dict(
        checkpoint=None, sampler_seed=cfg.default_hooks['sampler_seed'],
        logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False))
    cfg.model.backbone.pop('init_cfg', None)
    cfg.work_dir, cfg.log_level, cfg.load_from = work_dir, 'ERROR', None
    cfg.experiment_name = f'workers_{workers}_{Path(work_dir).name}'
    cfg.visualizer = dict(type='Visualizer', name=cfg.experiment_name)  # each run needs its own
    adapt_to_cpu(cfg)
    return cfg


def train(args: argparse.Namespace, workers: int) -> dict:
    """A row with the times of a run."""
    with tempfile.TemporaryDirectory() as work_dir:
        runner = Runner.from_cfg(make_config(args, workers, work_dir))
        runner.train()
        waits, steps = (runner.message_hub.get_scalar(f'train/{name}').data[0][SKIPPED:] * 1e3
                        for name in ('data_time', 'time'))
    return dict(workers=workers, step_ms=common.median(steps), waiting_ms=float(waits.mean()),
                longest_wait_ms=float(waits.max()), waiting_share=float(waits.sum() / steps.sum()))


def load_time(args: argparse.Namespace, num: int = 24) -> float:
    """Median milliseconds of a sample of the data set."""
    cv2.setNumThreads(0)
    cfg = make_config(args, 0, 'unused').train_dataloader.dataset
    init_default_scope('mmseg')
    data, times = DATASETS.build(cfg), []
    for index in range(min(num, len(data))):
        begin = time.perf_counter()
        data[index]
        times.append((time.perf_counter() - begin) * 1e3)
    return common.median(times)


def main() -> None:
    args = parse_args()
    one = load_time(args)
    rows = [train(args, workers) for workers in args.workers]
    goals = [common.Goal(f'waiting for data in training, {args.crop} px crops, {row["workers"]} '
                         'workers, share of the step', 'under', 0.05, row['waiting_share'])
             for row in rows[:1]]
    common.finish('data_loading', args, rows, figure='step_ms', goals=goals,
                  tables={'Load an image, one process': [dict(ms=one)]})


if __name__ == '__main__':
    main()
