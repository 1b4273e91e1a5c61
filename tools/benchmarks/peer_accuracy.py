"""Accuracy and time of mmdet's models that were trained as ours is.

The peers start from the backbone weights of our DeepLabV3-MobileNetV2 and are trained with the data
set, crops, augmentation, batch size, loop and metric of our models. Time is from image file to
instances: all have trained weights, fused normalisation and channels_last, get images scaled to the
longer side of our test pipeline, and take turns; the peers have a score threshold of 0.05. Peers
have no category map, so their mean IoU is not reported. ``tools/benchmarks/README.md`` says how the
peers are set up and which environment the script needs. Each call with a model trains it, in a
folder of its own; the last one measures all whose training has ended:

    PYTHONPATH=. peers/bin/python tools/benchmarks/peer_accuracy.py mask-rcnn --iters 4500
    PYTHONPATH=. peers/bin/python tools/benchmarks/peer_accuracy.py rtmdet-ins --iters 4500
    PYTHONPATH=. peers/bin/python tools/benchmarks/peer_accuracy.py

A training ends after --iters, after --minutes (validations counted, as `BudgetTrainLoop` does), or
when a quarter of the 16 validations brought no better AP^r 0.5 on val_official. --resume goes on
from the last checkpoint. The weights that are measured are the best on val_official.

With --config, a peer is trained on other data, and its figures there are printed:

    instbox train my_data --work-dir ours
    PYTHONPATH=. peers/bin/python tools/benchmarks/peer_accuracy.py mask-rcnn --minutes 10 \\
        --config ours/config.py --work-dir theirs
"""
import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
import torch
from export import accuracy
from mmcv.cnn import ConvModule, fuse_conv_bn
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.registry import DATASETS, MODELS
from support import common
from support.peer_models import PEERS, our_config, peer_config
from torch import nn

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.engine import load_config, run_training, training_config
from mmseg_instbox.engine.training import set_resume
from mmseg_instbox.utils import write_json

LISTS = ('val_official', 'val_coco')
FIGURES = ('APr_0.5', 'APr_vol', 'AP50')
MAIN = 'APr_0.5'
BEST = f'best_{MAIN}_iter_*.pth'
WEIGHTS = 'checkpoints/deeplabv3_mobilenet-v2_voc12aug.pth'
VALIDATIONS = 16
PATIENCE = VALIDATIONS // 4


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'peer_accuracy', repeats=3)
    parser.add_argument('model', nargs='?', choices=list(PEERS),
                        help='train this one; without it, all that are trained are measured')
    parser.add_argument('--iters', type=int, help='iterations to train')
    parser.add_argument('--minutes', type=float, help='minutes to train')
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument('--lr', type=float, default=5e-4,
                        help="learning rate of new layers, ten times the backbone's (%(default)s)")
    parser.add_argument('--config', default=our_config(),
                        help='of the training that is taken over, but for the network: of ours on '
                        'VOC, or one that `instbox train` wrote')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/peer_accuracy'),
                        help='holds a folder for each training (%(default)s)')
    parser.add_argument('--ours', help='checkpoint of our model; default: the one in demo/')
    parser.set_defaults(images=20)  # of each list, on which time is measured
    args = common.parse(parser, dict(images=1), arguments)
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
    cfg = training_config(args.config, work_dir=str(run_folder(args)),
                          cfg_options=dict(load_from=None))
    set_resume(cfg, 'auto' if args.resume else None)  # not before: it is no checkpoint of ours
    dataset = DATASETS.build(dict(cfg.val_dataloader.dataset, lazy_init=True))
    num_classes = len(dataset.metainfo['thing_classes'])
    cfg.model = peer_config(args.model, WEIGHTS, num_classes)
    cfg.optim_wrapper = dict(
        type='OptimWrapper', optimizer=dict(type='AdamW', lr=args.lr, weight_decay=0.01),
        clip_grad=dict(max_norm=20),
        paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)), norm_decay_mult=0.0,
                           bypass_duplicate=True))  # RTMDet shares layers between levels
    cfg.param_scheduler = []
    cfg.train_cfg = dict(type='BudgetTrainLoop', max_iters=args.iters or 10**6,
                         minutes=args.minutes, validations=VALIDATIONS)
    cfg.default_hooks.checkpoint.update(interval=100, save_best=MAIN)
    cfg.custom_hooks = [dict(type='EarlyStoppingHook', monitor=MAIN, rule='greater',
                             min_delta=1e-4, patience=PATIENCE)]
    return cfg


def load_peer(folder: Path, device: str) -> nn.Module:
    """A trained peer as our inferencer would run it: fused and in channels_last."""
    model = MODELS.build(peer_config(folder.name.partition('_')[0]))
    load_checkpoint(model, str(next(folder.glob(BEST))), map_location='cpu', strict=True)
    for module in model.modules():
        if isinstance(module, ConvModule):  # RTMDet shares them between levels, but no norm
            module.conv = copy.deepcopy(module.conv)
    return fuse_conv_bn(model.eval()).to(device, memory_format=torch.channels_last)


def test_dataset(name: str) -> Any:
    """A list of images with our test pipeline."""
    cfg = load_config(our_config()).test_dataloader.dataset
    cfg.ann_file = f'ImageSets/Segmentation/{name}.txt'
    return DATASETS.build(cfg)


def make_predict(model: nn.Module, dataset: Any) -> Callable[[str], Any]:
    """A function from image file to instances; the images come without annotations."""
    pipeline = Compose([step for step in dataset.pipeline.transforms
                        if type(step).__name__ != 'LoadInstAnnotations'])

    @torch.no_grad()
    def predict(file: str) -> Any:
        found, = model.test_step(pseudo_collate([pipeline(dict(img_path=file, seg_fields=[]))]))
        return found.pred_instances

    return predict


def measure(args: argparse.Namespace) -> list[dict]:
    """A row for our model and one for each trained peer."""
    ours = InstBoxInferencer(weights=args.ours, device=args.device, show_progress=False)
    folders = sorted(file.parent for file in args.work_dir.glob('*/training.json'))
    models = {'ours': ours.model} | {
        folder.name: load_peer(folder, args.device) for folder in folders}
    datasets = {name: test_dataset(name) for name in LISTS}
    calls = {name: make_predict(model, datasets[LISTS[0]]) for name, model in models.items()}
    calls['ours'] = lambda file: next(ours.stream(file)).pred_instances
    files = [dataset[i]['data_samples'].img_path
             for dataset in datasets.values() for i in range(args.images)]
    times = common.alternate(calls, args.repeats, args.device, files)
    rows = common.compare(times, 'model', 'over_ours', over_first=True)
    for row, (name, model) in zip(rows, models.items(), strict=True):
        row |= describe_run(args.work_dir / name)
        for key, dataset in datasets.items():
            measured = accuracy(model, dataset, len(dataset))
            row |= {f'{key}_{figure}': measured[figure] for figure in FIGURES}
    return rows


def describe_run(folder: Path) -> dict:
    """What a row says about the model and its training."""
    if not folder.is_dir():
        return {}
    training = json.loads((folder / 'training.json').read_text())
    return dict(iterations=training['iterations'], minutes=training['minutes'],
                model=PEERS[folder.name.partition('_')[0]][0],
                best_at=int(next(folder.glob(BEST)).stem.rpartition('_')[2]))


def train(args: argparse.Namespace) -> None:
    """Trains a peer; ``training.json`` in its folder has its length and the best figures."""
    runner = run_training(train_config(args))
    minutes = runner.message_hub.get_info('trained_seconds') / 60
    load_checkpoint(runner.model, str(next(run_folder(args).glob(BEST))), map_location='cpu')
    file = write_json(dict(iterations=runner.iter, minutes=minutes, figures=runner.val_loop.run()),
                      run_folder(args) / 'training.json')
    print(f'{file}\n{file.read_text()}')


def figures(rows: list[dict]) -> list[common.Figure]:
    """Accuracy and time over the peer with the best AP50 on val_official."""
    ours, *others = rows
    if not others:
        return []
    key = f'{LISTS[0]}_AP50'
    peer = max(others, key=lambda row: row[key])
    what = f'{{}}; peer: {peer["model"]}, trained alike'
    return [common.Figure(what.format('AP50 on `val_official`'), ours[key], '', peer[key],
                          ours[key] / max(peer[key], 1e-9), at_least=1.2),
            common.Figure(what.format('file to instances'), ours['ms'], 'ms', peer['ms'],
                          1 / peer['over_ours'], at_most=0.333)]


def main() -> None:
    args = parse_args()
    init_default_scope('mmseg')
    peers.require_operators()
    if args.model:
        with user_errors():
            train(args)
    else:
        rows = measure(args)
        common.finish('peer_accuracy', args, rows, figures=figures(rows),
                      note='val_coco may have been seen in the pre-training of the weights, '
                           'by categories alone; ours and the peers alike.')


if __name__ == '__main__':
    main()
