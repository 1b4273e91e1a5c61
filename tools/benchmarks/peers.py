"""Time from image file to instances, against mmdet's models at the same input size.

It needs mmcv with its compiled operators, which this package does without. In an environment of its
own, from the root of the repository:

    python -m venv peers
    peers/bin/pip install torch==2.13.0          # the build for your machine
    peers/bin/pip install -r requirements.txt
    MMCV_WITH_OPS=1 peers/bin/pip install --no-deps --force-reinstall --no-build-isolation \\
        --no-binary onedl-mmcv onedl-mmcv==2.3.6
    PYTHONPATH=. peers/bin/python tools/benchmarks/peers.py

The last but one builds the operators from source (some 20 minutes on two cores, with a C++
compiler); a wheel of mmcv with operators for your torch does as well.

How it is made fair. Time does not depend on what the weights are but on how much is found, so the
peers have random weights and find a fixed number: of each picture their 100 highest scores (20 a
level where there are five levels) pass the score threshold, go through their own suppression, and
at most --instances of those that are left get masks at the size of the picture. Their thresholds as
published would let nothing or everything pass. Our MobileNetV2 model has its trained weights and
finds what there is in the picture. Our ResNet-50 ones have random weights: when their network is
done, what it says is replaced by what the trained one says about the same picture, so that grouping
has real boxes to do. All have 20 categories, convolutions in channels_last, pictures scaled to the
same longer side. RTMDet-Ins has no ResNet: its CSPNeXt-m has about as many parameters as
ResNet-50, and mmdet's config of it normally sees 640 x 640 pixels.
"""
import argparse
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import common
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

# name -> mmdet's config, and what is changed in its model
PEERS = {
    'Mask R-CNN, MobileNetV2-FPN': ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco', dict(
        backbone=dict(_delete_=True, type='MobileNetV2', out_indices=(1, 2, 4, 6)),
        neck=dict(in_channels=[24, 32, 96, 320]))),
    'Mask R-CNN, R50-FPN': ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco', {}),
    'SOLOv2, R50-FPN': ('solov2/solov2_r50_fpn_1x_coco', {}),
    'CondInst, R50-FPN': ('condinst/condinst_r50_fpn_ms-poly-90k_coco_instance', {}),
    'RTMDet-Ins-m, CSPNeXt': ('rtmdet/rtmdet-ins_m_8xb32-300e_coco', dict(
        data_preprocessor=dict(pad_size_divisor=32))),
}
TRAINED = 'ours, MobileNetV2 at stride 16, heads at 8'
OURS = {
    TRAINED: None,
    'ours, R50 at stride 16': 'instbox_fcrn-r50-d16_8xb2-20k_voc12-sbd-500x500',
    'ours, R50 at stride 8': 'instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500',
}
NUM_CLASSES = 20
PASSING = 100


class Highest:
    """A score threshold that the k highest scores pass, whatever they are."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __lt__(self, scores: Tensor) -> Tensor:
        """What ``scores > threshold`` means."""
        flat = scores.flatten()
        return scores >= flat.topk(min(self.k, len(flat))).values.min()


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'peers', repeats=3)
    parser.add_argument('--models', nargs='+', choices=(*OURS, *PEERS), metavar='NAME',
                        default=[*OURS, *PEERS], help='some of %(choices)s; default: all')
    parser.add_argument('--images', type=Path, nargs='+',
                        default=sorted((common.ROOT / 'demo' / 'samples').glob('*.jpg')),
                        help='pictures; default: demo/samples')
    parser.add_argument('--size', type=common.positive, default=416,
                        help='longer side of the input (%(default)s)')
    parser.add_argument('--instances', type=common.positive, default=10,
                        help='most instances of a picture that a peer gives (%(default)s)')
    return common.parse(parser)


def peer_config(name: str) -> Config:
    """mmdet's config of a peer with our number of categories and plain normalisation."""
    file, changes = PEERS[name]
    cfg = get_config(f'mmdet::{file}.py')
    cfg.merge_from_dict(dict(model=changes))
    plain(cfg.model)
    return cfg


def plain(node: Any) -> None:
    """No pretrained weights, BN for SyncBN, 20 categories, in all of a nested config."""
    for key, value in list(node.items()) if isinstance(node, dict) else enumerate(node):
        if key == 'num_classes':
            node[key] = NUM_CLASSES
        elif key in ('init_cfg', 'pretrained'):
            node[key] = None
        elif value == 'SyncBN':
            node[key] = 'BN'
        elif isinstance(value, dict | list):
            plain(value)


def limit(model: nn.Module, instances: int) -> None:
    """Let a fixed number of scores pass, and at most that many instances."""
    if getattr(model, 'roi_head', None) is not None:
        tests = [model.roi_head.test_cfg]
    else:
        tests = [head.test_cfg for head in (getattr(model, 'bbox_head', None),
                                            getattr(model, 'mask_head', None)) if head is not None]
    levels = 5 if getattr(model, 'bbox_head', None) is not None else 1
    for test in tests:
        test.score_thr, test.max_per_img = Highest(PASSING // levels), instances
        if 'filter_thr' in test:
            test.filter_thr = -1  # SOLOv2's threshold after its suppression


def make_peer(name: str, args: argparse.Namespace) -> Callable[[str], int]:
    """A function from file to number of instances."""
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        model = MODELS.build(peer_config(name).model).eval()
        pipeline = Compose([
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(args.size, args.size), keep_ratio=True),
            dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape',
                                                  'scale_factor'))])
    model.to(args.device, memory_format=torch.channels_last)
    limit(model, args.instances)

    @torch.no_grad()
    def predict(file: str) -> int:
        with DefaultScope.overwrite_default_scope('mmdet'):
            found, = model.test_step(pseudo_collate([pipeline(dict(img_path=file))]))
        return len(found.pred_instances.masks)

    return predict


def make_ours(name: str, args: argparse.Namespace) -> Callable[[str], int]:
    """A function from file to number of instances."""
    from mmengine.registry import init_default_scope

    from mmseg_instbox.apis import InstBoxInferencer
    from mmseg_instbox.apis.model_loading import load_model
    init_default_scope('mmseg')
    trained = InstBoxInferencer(device=args.device, show_progress=False)
    set_scale(trained, args.size)
    if OURS[name] is None:
        return lambda file: len(next(trained.stream(file)).pred_instances)
    torch.manual_seed(0)
    model = load_model(OURS[name], device=args.device)
    model.to(memory_format=torch.channels_last)
    inferencer = InstBoxInferencer(model, show_progress=False)
    set_scale(inferencer, args.size)
    said = {str(file): say(trained, str(file)) for file in args.images}

    def predict(file: str) -> int:
        with replaced(model, said[file]):
            return len(next(inferencer.stream(file)).pred_instances)

    return predict


def set_scale(inferencer: Any, size: int) -> None:
    """Scale pictures to that longer side."""
    for step in inferencer.pipeline.transforms:
        if type(step).__name__ == 'Resize':
            step.scale = (size, size)


def say(trained: Any, file: str) -> tuple[Tensor, Tensor]:
    """Logits and boxes of the trained model for a picture."""
    model, kept = trained.model, []
    forward = model.forward_dense

    def listen(batch: Tensor) -> tuple[Tensor, Tensor]:
        kept.append(forward(batch))
        return kept[-1]

    model.forward_dense = listen
    try:
        next(trained.stream(file))
    finally:
        del model.forward_dense
    return kept[0]


class replaced:
    """A context in which a model's own answer, once it is there, is exchanged for another's."""

    def __init__(self, model: nn.Module, said: tuple[Tensor, Tensor]) -> None:
        self.model, self.said = model, said

    def __enter__(self) -> None:
        forward, (logits, boxes) = self.model.forward_dense, self.said

        def answer(batch: Tensor) -> tuple[Tensor, Tensor]:
            own, _ = forward(batch)
            return tuple(nn.functional.interpolate(each, own.shape[-2:], mode='nearest')
                         for each in (logits, boxes))

        self.model.forward_dense = answer

    def __exit__(self, *_: object) -> None:
        del self.model.forward_dense


def measure(args: argparse.Namespace) -> Iterator[dict]:
    """A row for each model; ratios are its time over that of our trained one."""
    models = {name: (make_ours if name in OURS else make_peer)(name, args)
              for name in args.models}
    times: dict[str, list[float]] = {name: [] for name in models}
    found = copy.deepcopy(times)
    for file in map(str, args.images):
        calls = {name: (lambda name=name, file=file: found[name].append(models[name](file)))
                 for name in models}
        for name, values in common.alternate(calls, args.repeats, args.device, 1).items():
            times[name] += values
    for name in models:
        row = dict(model=name, ms=common.median(times[name]), instances=common.median(found[name]))
        if TRAINED in models and name != TRAINED:
            row |= common.ratio_columns('over_our_MobileNetV2', times[name], times[TRAINED])
        yield row


def require_operators() -> None:
    """End with a message if mmcv lacks its compiled operators."""
    try:
        import mmcv.ops  # noqa: F401
    except ImportError as error:
        raise SystemExit(f'mmcv has no compiled operators here ({error}); --help says how to make '
                         'an environment that has them') from error


def main() -> None:
    args = parse_args()
    require_operators()
    rows = list(measure(args))
    ratios = {row['model']: row.get('over_our_MobileNetV2') for row in rows}
    peer = next(iter(PEERS))
    args.images = [file.name for file in args.images]
    common.finish(
        'peers', args, rows, figure='ms', note='How it is made fair: see the help of the script.',
        goals=[common.Goal(f'{peer}, over ours with MobileNetV2, image file to instances',
                           'at least', 2.0, ratios.get(peer))])


if __name__ == '__main__':
    main()
