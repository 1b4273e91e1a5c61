"""Accuracy and time of mmdet's models that were trained as ours is.

The peers start from the backbone weights of our DeepLabV3-MobileNetV2 and are trained on the same
list with the same crops, augmentation, batch size and frozen first stages; data set, loader and
metric (InstBoxMetric) are those of our config. Time is from image file to instances: all models
have their trained weights, normalisation fused into convolutions and channels_last, get images
scaled to the same longer side, and take turns; the peers have a score threshold of 0.05. Peers have
no category map, so their mean IoU is not reported. The script needs the environment that the
section on mmdet's models describes, and is called from the root of the repository. Each call with a
model trains it, in a folder of its own; the last one measures all that are trained:

    PYTHONPATH=. peers/bin/python tools/benchmarks/peer_accuracy.py mask-rcnn --iters 5000
    PYTHONPATH=. peers/bin/python tools/benchmarks/peer_accuracy.py rtmdet-ins --minutes 240
    PYTHONPATH=. peers/bin/python tools/benchmarks/peer_accuracy.py

A training ends after --iters, after --minutes of training steps (validation not counted), or when
a quarter of that budget brought no better AP^r 0.5 on val_official. The learning rate falls to 0
with the budget, whether it counts iterations or minutes. --resume goes on from the last checkpoint.
The weights that are measured are the best on val_official.

How the peers are set up, and why:

- Backbone: our `DilatedMobileNetV2` with strides instead of the last dilations, and an FPN. mmdet's
  `MobileNetV2` names its layers differently: of the 52 convolutions of the DeepLab weights none
  loads into it (the first one, with the prefix `backbone.`). Its batch normalisation, with frozen
  statistics, then lets the signal vanish: its last features have a standard deviation below 0.0001
  on an image, those of ours 2.4.
- FPN: batch normalisation, because the stages differ in scale (standard deviation 7.1 to 2.4).
- Anchors of Mask R-CNN: scales 4 and 6 instead of 8. Of the objects of 700 images of `trainplus`,
  at the sizes of training, 78 % then have an anchor with an IoU above 0.7, instead of 36 %, and 3 %
  none above 0.3, instead of 12 %.
- Boxes and masks of Mask R-CNN: shared by all categories, of which some are rare. mmdet's
  initialisation of such a mask is so wide that its loss starts at 1.68; here it starts near
  ln 2 = 0.69. The mask head has batch normalisation. 96 regions an image are sampled, at most a
  quarter of them objects.
- Proposals of Mask R-CNN: the best 500 of each level and 200 of an image, instead of 2,000 and
  1,000; images of `trainplus` have 2.7 objects on average.
- Void: 18 % of the images of `trainplus` have areas without annotation. Negatives with their centre
  there do not count, as void pixels do not with us.
- RTMDet-Ins as the one-stage model: it assigns objects to cells by what it predicts, so that it has
  neither anchors nor ranges of size to be tuned for small images. Its neck is the FPN of the other.
- AdamW with the learning rates of our config: 5e-4 for new layers, 5e-5 for the backbone.
"""
import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import peers
import torch
from mmcv.cnn import ConvModule, fuse_conv_bn
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.registry import DATASETS, HOOKS, MODELS
from peer_models import PEERS, our_config, peer_config
from torch import nn

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.engine import load_config, run_training, training_config
from mmseg_instbox.evaluation import InstBoxMetric
from mmseg_instbox.utils import write_json

LISTS = ('val_official', 'val_coco')
FIGURES = ('APr_0.5', 'APr_vol', 'AP50')
MAIN = 'APr_0.5'
PATIENCE = 0.25  # of the budget
WARM_UP = 100


@HOOKS.register_module(force=True)
class BudgetHook(Hook):
    """Learning rate by the share of a budget that is used, and the end of the training.

    Its state is in the checkpoints, so that a resumed run goes on with the same budget, and in
    ``budget.json`` in the work directory.

    Args:
        iters: Iterations, or None.
        minutes: Minutes of training steps, or None.
    """

    def __init__(self, iters: int | None = None, minutes: float | None = None) -> None:
        self.iters, self.minutes = iters or float('inf'), minutes or float('inf')
        self.state = dict(iterations=0, seconds=0., best=-1., best_iteration=0, best_progress=0.)

    @property
    def progress(self) -> float:
        """Share of the budget that is used."""
        return max(self.state['iterations'] / self.iters,
                   self.state['seconds'] / 60 / self.minutes)

    def before_train(self, runner: Runner) -> None:
        """Take up the state of a resumed run."""
        self.state |= runner.message_hub.get_info('budget', {})
        for group in runner.optim_wrapper.param_groups:
            group.setdefault('initial_lr', group['lr'])

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Set the learning rate; when the budget ends, this iteration is the last."""
        self.begin = time.perf_counter()
        factor = min(1, (runner.iter + 1) / WARM_UP) * max(1 - self.progress, 0)**0.9
        for group in runner.optim_wrapper.param_groups:
            group['lr'] = group['initial_lr'] * factor
        if self.progress >= 1:
            runner.train_loop._max_iters = runner.iter + 1

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Count the iteration and its time."""
        self.state['iterations'] = runner.iter + 1
        self.state['seconds'] += time.perf_counter() - self.begin
        self._keep(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Stop if the best result is old."""
        if metrics[MAIN] > self.state['best']:
            self.state.update(best=metrics[MAIN], best_iteration=self.state['iterations'],
                              best_progress=self.progress)
        self._keep(runner)
        if self.progress - self.state['best_progress'] >= PATIENCE:
            runner.train_loop.stop_training = True
        write_json(self.state, Path(runner.work_dir) / 'budget.json')

    def _keep(self, runner: Runner) -> None:
        runner.message_hub.update_info('budget', dict(self.state))


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'peer_accuracy', repeats=3)
    parser.add_argument('model', nargs='?', choices=list(PEERS),
                        help='train this one; without it, all that are trained are measured')
    parser.add_argument('--iters', type=common.positive, help='iterations to train')
    parser.add_argument('--minutes', type=float, help='minutes of training steps')
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument('--lr', type=float, default=5e-4,
                        help="learning rate of new layers, ten times the backbone's (%(default)s)")
    parser.add_argument('--val-interval', type=common.positive, default=500,
                        help='iterations between validations (%(default)s)')
    parser.add_argument('--weights', default='checkpoints/deeplabv3_mobilenet-v2_voc12aug.pth',
                        help='of our category network (%(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/peer_accuracy'),
                        help='holds a folder for each training (%(default)s)')
    parser.add_argument('--ours', help='checkpoint of our model; default: the one in demo/')
    parser.add_argument('--size', type=common.positive, default=416,
                        help='longer side of the images when models are measured (%(default)s)')
    parser.add_argument('--images', type=common.positive, default=20,
                        help='images of each list on which time is measured (%(default)s)')
    args = common.parse(parser, arguments)
    if bool(args.model) != bool(args.iters or args.minutes):
        parser.error('give a model with --iters, --minutes or both to train it, or none of them to '
                     'measure the trained ones')
    return args


def run_folder(args: argparse.Namespace) -> Path:
    """The work directory of a training: the peer's name and the budget."""
    budget = [f'{value:g}-{unit}' for unit, value in (('iters', args.iters),
                                                      ('minutes', args.minutes)) if value]
    return args.work_dir / '_'.join([args.model, *budget])


def train_config(args: argparse.Namespace) -> Config:
    """Our config with the network, the learning rates and the schedule of a peer."""
    cfg = training_config(
        our_config(), work_dir=str(run_folder(args)), cfg_options=dict(load_from=None),
        resume='auto' if args.resume else None)
    cfg.model = peer_config(args.model, args.weights)
    cfg.optim_wrapper = dict(
        type='OptimWrapper', optimizer=dict(type='AdamW', lr=args.lr, weight_decay=0.01),
        clip_grad=dict(max_norm=20),
        paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)), norm_decay_mult=0.0,
                           bypass_duplicate=True))  # RTMDet shares layers between levels
    cfg.param_scheduler = []
    cfg.train_cfg.update(max_iters=args.iters or 10**6, val_interval=args.val_interval)
    cfg.default_hooks.checkpoint.update(interval=100, save_best=MAIN)
    cfg.custom_hooks = [dict(type='BudgetHook', iters=args.iters, minutes=args.minutes)]
    return cfg


def best_weights(folder: Path) -> Path | None:
    """The checkpoint of a training that was best on val_official, or None."""
    return next(iter(sorted(folder.glob(f'best_{MAIN}_iter_*.pth'))), None)


def load_peer(folder: Path, device: str) -> nn.Module:
    """A trained peer as our inferencer would run it: fused and in channels_last."""
    model = MODELS.build(peer_config(folder.name.partition('_')[0]))
    load_checkpoint(model, str(best_weights(folder)), map_location='cpu', strict=True)
    for module in model.modules():
        if isinstance(module, ConvModule):  # RTMDet shares them between levels, but no norm
            module.conv = copy.deepcopy(module.conv)
    return fuse_conv_bn(model.eval()).to(device, memory_format=torch.channels_last)


def test_dataset(name: str, size: int) -> Any:
    """A list of images with our test pipeline."""
    cfg = load_config(our_config()).test_dataloader.dataset
    cfg.ann_file = f'ImageSets/Segmentation/{name}.txt'
    next(step for step in cfg.pipeline if step.type == 'Resize').scale = (size, size)
    return DATASETS.build(cfg)


@torch.no_grad()
def evaluate(model: nn.Module, dataset: Any) -> dict[str, float]:
    """Figures of InstBoxMetric for a model on a data set."""
    metric = InstBoxMetric(coco=True)
    metric.dataset_meta = dataset.metainfo
    for data in dataset:
        samples = model.test_step(pseudo_collate([data]))
        metric.process({}, [sample.to_dict() for sample in samples])
    return metric.evaluate(len(dataset))


def make_predict(model: nn.Module, dataset: Any) -> Callable[[str], Any]:
    """A function from image file to instances; the images come without annotations."""
    steps = [step for step in dataset.pipeline.transforms
             if type(step).__name__ != 'LoadInstAnnotations']
    pipeline = Compose(steps)

    @torch.no_grad()
    def predict(file: str) -> Any:
        found, = model.test_step(pseudo_collate([pipeline(dict(img_path=file, seg_fields=[]))]))
        return found.pred_instances

    return predict


def measure(args: argparse.Namespace) -> list[dict]:
    """A row for our model and one for each trained peer."""
    from mmseg_instbox.apis import InstBoxInferencer  # slow to import, not needed to train
    folders = [folder for folder in sorted(args.work_dir.glob('*')) if best_weights(folder)]
    ours = InstBoxInferencer(weights=args.ours, device=args.device, show_progress=False)
    peers.set_scale(ours, args.size)
    models = {'ours': ours.model} | {
        folder.name: load_peer(folder, args.device) for folder in folders}
    datasets = {name: test_dataset(name, args.size) for name in LISTS}
    calls = {name: make_predict(model, datasets[LISTS[0]]) for name, model in models.items()}
    calls['ours'] = lambda file: next(ours.stream(file)).pred_instances
    times = take_times(calls, [dataset[i]['data_samples'].img_path
                               for dataset in datasets.values() for i in range(args.images)], args)
    rows = []
    for name, model in models.items():
        row = describe_run(args.work_dir / name)
        for key, dataset in datasets.items():
            figures = evaluate(model, dataset)
            row |= {f'{key}_{figure}': figures[figure] for figure in FIGURES}
        ratio = common.ratio(times[name], times['ours'])
        rows.append(row | dict(ms=common.median(times[name]), over_ours=ratio.median,
                               quartiles=f'{ratio.low:.2f} to {ratio.high:.2f}'))
    return rows


def take_times(calls: dict[str, Callable], files: list[str],
               args: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds of each model for each file and round; the models take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for file in files:
        turn = {name: (lambda call=call, file=file: call(file)) for name, call in calls.items()}
        for name, values in common.alternate(turn, args.repeats, args.device, 1).items():
            times[name] += values
    return times


def describe_run(folder: Path) -> dict:
    """What a row says about the model and its training."""
    name = folder.name.partition('_')[0]
    if name not in PEERS:
        return dict(model=name)
    state = json.loads((folder / 'budget.json').read_text())
    return dict(model=PEERS[name][0], iterations=state['iterations'],
                minutes=state['seconds'] / 60, best_at=state['best_iteration'])


def goals(rows: list[dict]) -> list[common.Goal]:
    """What is hoped for over the peer with the best AP50 on val_official."""
    ours, *others = rows
    key = f'{LISTS[0]}_AP50'
    peer = max(others, key=lambda row: row[key], default=None)
    accuracy = ours[key] / peer[key] if peer and peer[key] else None
    return [common.Goal('AP50 on val_official over the better peer', 'at least', 1.2, accuracy),
            common.Goal('time over the better peer', 'at most', 0.333,
                        peer and 1 / peer['over_ours'])]


def main() -> None:
    args = parse_args()
    init_default_scope('mmseg')
    peers.require_operators()
    if args.model:
        with user_errors():
            run_training(train_config(args))
        print((run_folder(args) / 'budget.json').read_text())
    else:
        rows = measure(args)
        common.finish('peer_accuracy', args, rows, figure='ms', goals=goals(rows),
                      note='val_coco may have been seen in the pre-training of the weights, '
                           'by categories alone; ours and the peers alike.')


if __name__ == '__main__':
    main()
