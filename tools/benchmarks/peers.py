"""Time from image file to instances of ResNet-50 models: ours against mmdet's.

It needs mmcv with its compiled operators, which this package does without. In an environment of its
own, from the root of the repository:

    python -m venv peers
    peers/bin/pip install torch==2.13.0          # the build for your machine
    peers/bin/pip install -r requirements.txt
    MMCV_WITH_OPS=1 peers/bin/pip install --no-deps --force-reinstall --no-build-isolation \\
        --no-binary onedl-mmcv onedl-mmcv==2.3.6
    PYTHONPATH=. peers/bin/python tools/benchmarks/peers.py

The fourth command builds the operators from source (some 20 minutes on two cores, with a C++
compiler); a wheel of mmcv with operators for your torch does as well.

All have random weights, 20 categories, convolutions in channels_last, normalisation not fused into
them, and images scaled to the same longer side. Each finds as many instances as our trained model
finds in the photograph: of a peer, that many of the highest scores of each level pass the threshold
and at most that many instances get masks; of ours, the network's outputs are replaced by those of
the trained one for the same image. RTMDet-Ins has no ResNet: its CSPNeXt-m has about as many
parameters as ResNet-50. "Backbone alone" ends with the features of our ResNet-50 at stride 16.
"""
import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import common
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DefaultScope, init_default_scope
from torch import Tensor, nn

from mmseg_instbox.utils.decoding import read_image

OURS = 'instbox_fcrn-r50-d16_8xb2-20k_voc12-sbd-500x500'
PEERS = {
    'CondInst, R50-FPN': 'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance',
    'RTMDet-Ins-m, CSPNeXt': 'rtmdet/rtmdet-ins_m_8xb32-300e_coco',
}
TITLE, BACKBONE = 'ours, R50 at stride 16', 'backbone alone, R50 at stride 16'
LIMITS = {BACKBONE: 1.15, 'CondInst, R50-FPN': 0.9}  # most times the other that ours should take
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
    parser.add_argument('--images', type=Path, nargs='+',
                        default=sorted(common.SAMPLES.glob('*.jpg')), help='default: demo/samples')
    parser.add_argument('--size', type=common.positive, default=416,
                        help='longer side of the input (default: %(default)s)')
    return common.parse(parser)


def plain(node: Any) -> None:
    """Removes pretrained weights from a nested config, and sets BN for SyncBN and 20 categories."""
    for key, value in list(node.items()) if isinstance(node, dict) else enumerate(node):
        if key == 'num_classes':
            node[key] = NUM_CLASSES
        elif key in ('init_cfg', 'pretrained'):
            node[key] = None
        elif value == 'SyncBN':
            node[key] = 'BN'
        elif isinstance(value, dict | list):
            plain(value)


def peer_config(name: str) -> Config:
    """Returns mmdet's config of a peer with our number of categories and plain normalisation."""
    cfg = get_config(f'mmdet::{PEERS[name]}.py')
    cfg.model.data_preprocessor.pad_size_divisor = 32
    plain(cfg.model)
    return cfg


def limit(model: nn.Module, instances: int) -> None:
    """Lets that many scores of a level pass, and that many instances of an image."""
    for head in (model.bbox_head, getattr(model, 'mask_head', None)):
        if head is not None:
            head.test_cfg.score_thr = Highest(max(instances, 1))
            head.test_cfg.max_per_img = instances


def make_peer(name: str, counts: dict[str, int], args: argparse.Namespace) -> Callable[[str], Any]:
    """Returns a function from file to instances, as many as ``counts`` says."""
    from mmdet.registry import MODELS  # needs mmcv's operators
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

    @torch.no_grad()
    def predict(file: str) -> Any:
        limit(model, counts[file])
        with DefaultScope.overwrite_default_scope('mmdet'):
            found, = model.test_step(pseudo_collate([pipeline(dict(img_path=file))]))
        return found.pred_instances

    return predict


def set_scale(inferencer: Any, size: int) -> None:
    """Scales images to that longer side."""
    for step in inferencer.pipeline.transforms:
        if type(step).__name__ == 'Resize':
            step.scale = (size, size)


@contextmanager
def forward_dense(model: nn.Module, change: Callable[[tuple], tuple]) -> Iterator[None]:
    """Changes the logits and boxes of a model's network, within the block."""
    forward = model.forward_dense
    model.forward_dense = lambda batch: change(forward(batch))
    try:
        yield
    finally:
        del model.forward_dense


def make_ours(args: argparse.Namespace) -> tuple[dict[str, int], dict[str, Callable[[str], Any]]]:
    """Returns how many instances the trained model finds, and what of ours is timed."""
    from mmseg_instbox.apis import InstBoxInferencer  # slow to import, not needed for the configs
    from mmseg_instbox.apis.model_loading import load_model
    from mmseg_instbox.engine import find_config, load_config
    init_default_scope('mmseg')
    trained = InstBoxInferencer(device=args.device, show_progress=False)
    torch.manual_seed(0)
    ours = InstBoxInferencer(load_model(load_config(find_config(OURS)), device=args.device).to(
        memory_format=torch.channels_last), show_progress=False)
    counts, dense = {}, {}
    for inferencer in (trained, ours):
        set_scale(inferencer, args.size)
    for file in map(str, args.images):
        with forward_dense(trained.model, lambda own, file=file: dense.setdefault(file, own)):
            counts[file] = len(next(trained.stream(file)).pred_instances)

    def predict(file: str) -> Any:
        with forward_dense(ours.model, lambda own: tuple(
                nn.functional.interpolate(each, own[0].shape[-2:]) for each in dense[file])):
            return next(ours.stream(file)).pred_instances

    @torch.no_grad()
    def backbone(file: str) -> Any:
        data = ours.collate_fn([ours.pipeline(dict(img=read_image(Path(file))))])
        return ours.model.extract_feat(ours.model.data_preprocessor(data)['inputs'])

    return counts, {TITLE: predict, BACKBONE: backbone}


def measure(args: argparse.Namespace) -> list[dict]:
    """Makes a row for each model; ratios are ours over it."""
    counts, models = make_ours(args)
    models |= {name: make_peer(name, counts, args) for name in PEERS}
    times = common.alternate_over(list(counts), models, args.repeats, args.device)
    found = {name: common.median([len(models[name](file)) for file in counts])
             for name in (TITLE, *PEERS)}
    return [dict(row, instances=found.get(row['model']))
            for row in common.compare(times, 'model', 'ours_over_it')]


def require_operators() -> None:
    """Exits with a message if mmcv lacks its compiled operators."""
    try:
        import mmcv.ops  # noqa: F401
    except ImportError as error:
        raise SystemExit(f'mmcv has no compiled operators here ({error}); --help says how to make '
                         'an environment that has them') from error


def main() -> None:
    args = parse_args()
    require_operators()
    rows = measure(args)
    ratios = {row['model']: row['ours_over_it'] for row in rows}
    common.finish('peers', args, rows, figure='ms', goals=[
        common.Goal(f'{TITLE}, over {name}', 'at most', limit, ratios[name])
        for name, limit in LIMITS.items()])


if __name__ == '__main__':
    main()
