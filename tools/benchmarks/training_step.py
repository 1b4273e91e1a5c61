"""Time and memory of a training step, against mmseg's FCN on the same backbone.

A step is forward pass, losses, backward pass and optimizer (AdamW), on a batch of generated images
that is normalised and in memory already. Ours is a config of this repository: category head, box
head, bootstrapping. Theirs is mmseg's EncoderDecoder with the decode head of its published FCN
config for that backbone, with and without that config's auxiliary head; backbone, crop, batch,
memory format and dtype are the same on both sides, and so are random weights. Peak memory is that
of a fresh process with three steps, whose C library is told to give freed memory back at once
(MALLOC_MMAP_THRESHOLD_); "grown" is what it took beyond libraries, model and batch.

The last table changes our step by one lever each.
"""
import argparse
import copy
from collections.abc import Callable, Iterator
from functools import partial

import common
import numpy as np
import torch
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from torch import Tensor, nn

from mmseg_instbox.datasets.instance_maps import object_boxes
from mmseg_instbox.datasets.shapes_generator import generate_sample
from mmseg_instbox.engine import find_config, load_config

# our config, and mmseg's published FCN whose heads stand on the same backbone
PAIRS = {
    'mobilenet-v2-d16': ('instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352',
                         'mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024'),
    'mobilenet-v2-d8': ('instbox_mobilenet-v2-d8_1xb8-2k_voc-mini-352x352',
                        'mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024'),
    'r18-d8': ('instbox_fcrn-r18-d8_8xb2-20k_voc12-sbd-500x500',
               'fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024'),
    'r50-d16': ('instbox_fcrn-r50-d16_8xb2-20k_voc12-sbd-500x500',
                'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024'),
    'r50-d8': ('instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500',
               'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024'),
}
SIDES = ('ours', 'FCN', 'FCN and auxiliary head')
FORMATS = dict(channels_last=torch.channels_last, contiguous=torch.contiguous_format)
STEPS_FOR_MEMORY = 3


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'training_step', repeats=7)
    parser.add_argument('--backbones', nargs='+', choices=PAIRS, default=list(PAIRS),
                        help='default: %(default)s')
    parser.add_argument('--crop', type=common.positive, default=320, help='pixels (%(default)s)')
    parser.add_argument('--batch', type=common.positive,
                        help='images; default: as many as our config gives to one process')
    parser.add_argument('--dtype', choices=('float32', 'bfloat16'),
                        help='bfloat16 is autocast; default: that on a GPU, float32 on a CPU')
    parser.add_argument('--memory-format', choices=FORMATS, default='channels_last')
    parser.add_argument('--levers', choices=(*PAIRS, 'none'), default='mobilenet-v2-d16',
                        help='backbone of the last table, or none (default: %(default)s)')
    parser.add_argument('--memory-only', choices=SIDES, help=argparse.SUPPRESS)
    args = common.parse(parser)
    args.dtype = args.dtype or ('bfloat16' if args.device.startswith('cuda') else 'float32')
    return args


def our_config(backbone: str) -> dict:
    """The model of our config, without pretrained weights, for one process."""
    return plain(load_config(find_config(PAIRS[backbone][0])).model)


def batch_size(backbone: str, args: argparse.Namespace) -> int:
    """How many images a step takes."""
    return args.batch or load_config(find_config(PAIRS[backbone][0])).train_dataloader.batch_size


def their_config(backbone: str, auxiliary: bool) -> dict:
    """mmseg's EncoderDecoder with its published heads on our config's backbone."""
    ours = our_config(backbone)
    ours['backbone'].pop('act_cfg', None)  # mmseg's own ReLU6
    theirs = plain(get_config(f'mmseg::{PAIRS[backbone][1]}.py').model)
    heads = [name for name in ('decode_head', 'auxiliary_head') if auxiliary or name[0] == 'd']
    model = dict(type='EncoderDecoder', backbone=ours['backbone'], test_cfg=dict(mode='whole'))
    for name in heads:
        model[name] = theirs[name] | dict(num_classes=ours['decode_head']['num_classes'])
    return model


def plain(node: object) -> object:
    """A nested config without pretrained weights and with BN for SyncBN."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()
                if key != 'pretrained' and (key, dict(value).get('type') if isinstance(value, dict)
                                            else None) != ('init_cfg', 'Pretrained')}
    if isinstance(node, list | tuple):
        return type(node)(plain(each) for each in node)
    return 'BN' if node == 'SyncBN' else node


def build(config: dict, args: argparse.Namespace) -> nn.Module:
    """A model with random weights that trains."""
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config))
    return model.to(args.device, memory_format=FORMATS[args.memory_format]).train()


def make_batch(num: int, args: argparse.Namespace) -> tuple[Tensor, list[SegDataSample]]:
    """Images (N, 3, H, W) and data samples as our data preprocessor gives them."""
    samples = [make_sample(*generate_sample(0, 0, i, args.crop)[1:], args.device)
               for i in range(num)]
    torch.manual_seed(0)
    images = torch.randn(num, 3, args.crop, args.crop)
    return images.to(args.device, memory_format=FORMATS[args.memory_format]), samples


def make_sample(seg_map: np.ndarray, inst_map: np.ndarray, device: str) -> SegDataSample:
    """A data sample with the truth of one image."""
    ids, boxes = object_boxes(inst_map.astype(np.int32))
    labels = [int(seg_map[inst_map == each].min()) - 1 for each in ids]
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(seg_map.astype(np.int64))[None])
    sample.gt_inst_map = PixelData(data=torch.from_numpy(inst_map.astype(np.int32))[None])
    sample.gt_instances = InstanceData(
        ids=torch.from_numpy(ids), labels=torch.tensor(labels), bboxes=torch.from_numpy(boxes))
    return sample.to(device)


def make_step(model: nn.Module, num: int, args: argparse.Namespace) -> Callable[[], None]:
    """A function that does one training step with ``num`` images."""
    inputs, samples = make_batch(num, args)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        with common.autocast(args.device, args.dtype):
            losses = model.loss(inputs, samples)
        loss, _ = model.parse_losses(losses)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def make_side(side: str, backbone: str, args: argparse.Namespace) -> Callable[[], None]:
    """The step of one of ``SIDES``."""
    config = our_config(backbone) if side == 'ours' else their_config(backbone, side != 'FCN')
    return make_step(build(config, args), batch_size(backbone, args), args)


def measure_memory(side: str, backbone: str, args: argparse.Namespace) -> dict[str, float]:
    """Peak memory of a side in a process of its own."""
    same = [part for key in ('crop', 'dtype', 'memory_format', 'device', 'threads')
            for part in (f'--{key.replace("_", "-")}', getattr(args, key))]
    return common.memory_of(__file__, '--memory-only', side, '--backbones', backbone, '--batch',
                            batch_size(backbone, args), *same)


def measure(backbone: str, args: argparse.Namespace) -> Iterator[dict]:
    """A row for each side; ratios are ours over that side."""
    steps = {side: make_side(side, backbone, args) for side in SIDES}
    times = common.alternate(steps, args.repeats, args.device)
    del steps
    memory = {side: measure_memory(side, backbone, args) for side in SIDES}
    for side in SIDES:
        row = dict(backbone=backbone, batch=batch_size(backbone, args), model=side,
                   ms=common.median(times[side]),
                   peak_MiB=memory[side]['peak_mib'], grown_MiB=memory[side]['grown_mib'])
        if side != 'ours':
            row |= common.ratio_columns('ours_over_it', times['ours'], times[side])
            for key in ('peak', 'grown'):
                row[f'{key}_ours_over_it'] = (memory['ours'][f'{key}_mib']
                                              / memory[side][f'{key}_mib'])
        yield row


def levers(backbone: str, args: argparse.Namespace) -> Iterator[dict]:
    """A row for each way to change our step, against the step as it is."""
    other_format = next(name for name in FORMATS if name != args.memory_format)
    other_dtype = 'float32' if args.dtype == 'bfloat16' else 'bfloat16'
    changes: dict[str, tuple[dict, Callable[[dict], object]]] = {
        f'{args.memory_format}, {args.dtype}, as above': ({}, lambda config: None),
        f'{other_format} memory': (dict(memory_format=other_format), lambda config: None),
        f'{other_dtype}': (dict(dtype=other_dtype), lambda config: None),
        'no bootstrapping': ({}, drop_samplers),
        "torch's ReLU6 instead of LeanReLU6": ({}, drop_activation),
        'first stages of the backbone frozen': ({}, partial(freeze, backbone)),
        'without box head (a category network)': ({}, drop_box_head),
    }
    steps = {}
    for name, (settings, change) in changes.items():
        config, own = our_config(backbone), argparse.Namespace(**vars(args) | settings)
        change(config)
        steps[name] = make_step(build(config, own), batch_size(backbone, args), own)
    times = common.alternate(steps, args.repeats, args.device)
    first = next(iter(times))
    for name, values in times.items():
        yield dict(lever=name, ms=common.median(values),
                   **common.ratio_columns('over_the_first', values, times[first]))


def drop_activation(config: dict) -> None:
    """The backbone's activation is mmseg's."""
    config['backbone'].pop('act_cfg', None)


def drop_samplers(config: dict) -> None:
    """Both heads learn from all pixels."""
    for head in ('decode_head', 'box_head'):
        config[head].pop('sampler', None)


def drop_box_head(config: dict) -> None:
    """mmseg's segmentor around our category head."""
    config['type'] = 'EncoderDecoder'
    for key in ('box_head', 'grouper', 'data_preprocessor', 'thing_ids'):
        config.pop(key, None)


def freeze(backbone: str, config: dict) -> None:
    """The stem and the first stage learn nothing."""
    config['backbone']['frozen_stages'] = 2 if backbone.startswith('mobilenet') else 1


def goals(rows: list[dict]) -> Iterator[common.Goal]:
    """Goals of time and memory, against the FCN without auxiliary head."""
    for row in rows:
        if row['model'] == 'FCN':
            name = f'training step over mmseg FCN, {row["backbone"]}'
            yield common.Goal(f'{name}: time', 'at most', 0.8, row['ours_over_it'])
            yield common.Goal(f'{name}: peak memory', 'at most', 0.8, row['peak_ours_over_it'])


def main() -> None:
    args = parse_args()
    register_all_modules(init_default_scope=False)
    init_default_scope('mmseg')
    if args.memory_only:
        step = make_side(args.memory_only, args.backbones[0], args)
        common.print_memory(lambda: [step() for _ in range(STEPS_FOR_MEMORY)], args.device)
        return
    rows = [row for backbone in args.backbones for row in measure(backbone, args)]
    tables = {}
    if args.levers != 'none':
        tables[f'Levers of our step, {args.levers}'] = list(levers(args.levers, args))
    del args.memory_only
    common.finish('training_step', args, rows, figure='ms', goals=list(goals(rows)), tables=tables,
                  note='Below 1, ours is faster or smaller.')


if __name__ == '__main__':
    main()
