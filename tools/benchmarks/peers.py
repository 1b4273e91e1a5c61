"""Time from image file to instances of ResNet-50 models: ours against mmdet's.

It needs the environment that ``tools/benchmarks/README.md`` describes. The models are not trained,
so each gets as many instances as the model in ``demo/`` finds in the photograph: of a peer, that
many of the highest scores of each level pass the threshold and at most that many instances get
masks; of ours, the network's outputs are replaced by those of the trained one. All have 20
categories, convolutions in channels_last, normalisation not fused into them, and images scaled to
the same longer side. RTMDet-Ins has no ResNet: its CSPNeXt-m has about as many parameters as
ResNet-50. "Backbone alone" ends with the features of our ResNet-50 at stride 16.
"""
import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from inference import network_input
from mmengine.config import ConfigDict
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DefaultScope, init_default_scope
from support import common
from support.peer_models import build_detector
from torch import Tensor, nn

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.engine import load_config, load_model

OURS = 'instbox_fpn-r50-d16_8xb2-20k_voc12-sbd-500x500'
PEERS = {
    'CondInst, R50-FPN': 'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance',
    'RTMDet-Ins-m, CSPNeXt': 'rtmdet/rtmdet-ins_m_8xb32-300e_coco',
}
TITLE, BACKBONE = 'R50 at stride 16', 'its backbone alone'
# name -> most times its time that ours should take
LIMITS = {'CondInst, R50-FPN': 0.9, 'RTMDet-Ins-m, CSPNeXt': None, BACKBONE: 1.15}
NUM_CLASSES = 20


class Highest:
    """A score threshold that the k highest scores pass, whatever they are."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __lt__(self, scores: Tensor) -> Tensor:
        """Returns what ``scores > threshold`` means."""
        flat = scores.flatten()
        return scores >= flat.topk(min(self.k, len(flat))).values.min()


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'peers', repeats=5)
    parser.add_argument('--images', type=Path, nargs='+', default=common.PHOTOGRAPHS,
                        help='default: demo/samples')
    parser.add_argument('--size', type=int, default=416,
                        help='longer side of the input (default: %(default)s)')
    return common.parse(parser, quick=dict(images=[common.SAMPLES / 'chelsea.jpg']))


def peer_config(name: str) -> ConfigDict:
    """Returns the model of mmdet's config of a peer with our number of categories."""
    model = get_config(f'mmdet::{PEERS[name]}.py').model
    model.data_preprocessor.pad_size_divisor = 32
    return ConfigDict(common.plain(model, num_classes=NUM_CLASSES))


def make_peer(name: str, counts: dict[str, int], args: argparse.Namespace) -> Callable[[str], Any]:
    """Returns a function from file to instances, as many as ``counts`` says."""
    torch.manual_seed(0)
    model = build_detector(peer_config(name)).eval()
    model.to(args.device, memory_format=torch.channels_last)
    with DefaultScope.overwrite_default_scope('mmdet'):
        pipeline = Compose([
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(args.size, args.size), keep_ratio=True),
            dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape',
                                                  'scale_factor'))])

    @torch.no_grad()
    def predict(file: str) -> Any:
        count = max(counts[file], 1)  # mmdet draws no masks of none
        for head in filter(None, (model.bbox_head, getattr(model, 'mask_head', None))):
            head.test_cfg.update(score_thr=Highest(count), max_per_img=count)
        with DefaultScope.overwrite_default_scope('mmdet'):
            found, = model.test_step(pseudo_collate([pipeline(dict(img_path=file))]))
        return found.pred_instances

    return predict


@torch.no_grad()
def make_ours(args: argparse.Namespace) -> tuple[dict[str, int], dict[str, Callable[[str], Any]]]:
    """Returns how many instances the trained model finds, and what of ours is timed."""
    init_default_scope('mmseg')
    trained = InstBoxInferencer(device=args.device, show_progress=False)
    torch.manual_seed(0)
    ours = InstBoxInferencer(load_model(load_config(OURS), device=args.device).to(
        memory_format=torch.channels_last), show_progress=False)
    for step in (*trained.pipeline.transforms, *ours.pipeline.transforms):
        if type(step).__name__ == 'Resize':
            step.scale = (args.size, args.size)
    forward, files = ours.model.forward_dense, list(map(str, args.images))
    counts = {file: len(next(trained.stream(file)).pred_instances) for file in files}
    dense = {file: trained.model.forward_dense(network_input(trained, file)) for file in files}

    def predict(file: str) -> Any:
        def replaced(batch: Tensor) -> tuple[Tensor, ...]:
            grid = forward(batch)[0].shape[-2:]
            return tuple(nn.functional.interpolate(each, grid) for each in dense[file])

        with mock.patch.object(ours.model, 'forward_dense', replaced):
            return next(ours.stream(file)).pred_instances

    @torch.no_grad()
    def backbone(file: str) -> Any:
        return ours.model.backbone(network_input(ours, file))

    return counts, {TITLE: predict, BACKBONE: backbone}


def require_operators() -> None:
    """Exits with a message if mmcv lacks its compiled operators."""
    try:
        import mmcv.ops  # noqa: F401
    except ImportError as error:
        raise SystemExit(f'mmcv has no compiled operators here ({error}); tools/benchmarks/'
                         'README.md describes an environment that has them') from error


def main() -> None:
    args = parse_args()
    require_operators()
    counts, models = make_ours(args)
    models |= {name: make_peer(name, counts, args) for name in PEERS}
    times = common.alternate(models, args.repeats, args.device, list(counts))
    rows = common.compare(times, 'model', 'ours_over_it')
    for row in rows:
        if row['model'] != BACKBONE:
            row['instances'] = median([len(models[row['model']](file)) for file in counts])
    found = {row['model']: row for row in rows}
    common.finish('peers', args, rows, figures=[
        common.Figure(f'file to instances, {TITLE}; peer: {name}', found[TITLE]['ms'], 'ms',
                      found[name]['ms'], found[name]['ours_over_it'], at_most)
        for name, at_most in LIMITS.items()])


if __name__ == '__main__':
    main()
