"""Time and memory of a training step, against mmseg's FCN on the same backbone.

A step is forward pass, losses, backward pass and optimizer (AdamW), on a batch of generated images
that is normalised and in memory already. Theirs is mmseg's EncoderDecoder with the decode head of
its published FCN config for that backbone, with and without that config's auxiliary head; backbone,
crop, batch, memory format and dtype are the same, and all weights are random. Peak memory is that
of a fresh process with three steps, whose C library returns freed memory at once; "grown" is what
it took beyond libraries, model and batch. The last table changes our step by one lever each.
"""
import argparse
import copy
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any
from unittest import mock

import torch
from mmengine.hub import get_config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from support import common

from mmseg_instbox.datasets.shapes_generator import generate_sample
from mmseg_instbox.engine import load_config

MOBILENET_FCN = 'mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024'
# our config, and mmseg's published FCN whose heads fit the same backbone
PAIRS = {
    'mobilenet-v2-d16': ('instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352', MOBILENET_FCN),
    'mobilenet-v2-d8': ('instbox_mobilenet-v2-d8_1xb8-2k_voc-mini-352x352', MOBILENET_FCN),
    'r18-d8': ('instbox_fcrn-r18-d8_8xb2-20k_voc12-sbd-500x500',
               'fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024'),
    'r50-d16': ('instbox_fpn-r50-d16_8xb2-20k_voc12-sbd-500x500',
                'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024'),
    'r50-d8': ('instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500',
               'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024'),
    'demo': (common.DEMO, MOBILENET_FCN),
}
SIDES = ('ours', 'FCN', 'FCN and auxiliary head')
LEVERS = 'demo'  # backbone of the last table
GIVE_BACK = dict(MALLOC_MMAP_THRESHOLD_=str(common.MIB))


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'training_step', repeats=7)
    parser.add_argument('--backbones', nargs='+', choices=PAIRS, default=list(PAIRS),
                        help='default: %(default)s; demo is the model in demo/')
    # pixels; images, by default as many as our config gives to one process
    parser.set_defaults(crop=320, batch=None, memory_format='channels_last')
    args = common.parse(parser, quick=dict(backbones=['mobilenet-v2-d16'], crop=64, batch=2))
    args.dtype = 'bfloat16' if args.device.startswith('cuda') else 'float32'  # with autocast
    return args


def model_config(side: str, backbone: str) -> dict:
    """Returns the model of one of ``SIDES``, without pretrained weights, for one process.

    That of others than ours is mmseg's EncoderDecoder with its published heads on our backbone.
    """
    ours = common.plain(load_config(PAIRS[backbone][0]).model)
    if side == 'ours':
        return ours
    ours['backbone'].pop('act_cfg', None)  # mmseg's own ReLU6
    published = common.plain(get_config(f'mmseg::{PAIRS[backbone][1]}.py').model)
    model = dict(type='EncoderDecoder', backbone=ours['backbone'], test_cfg=dict(mode='whole'))
    for name in ('decode_head', 'auxiliary_head')[:SIDES.index(side)]:
        model[name] = published[name] | dict(num_classes=ours['decode_head']['num_classes'])
    return model


def make_step(config: dict, batch: int, args: argparse.Namespace) -> Callable[[], None]:
    """Builds a model with random weights and returns a function that does one training step."""
    torch.manual_seed(0)
    to = dict(device=args.device, memory_format=getattr(torch, args.memory_format))
    model = MODELS.build(copy.deepcopy(config)).to(**to).train()
    samples = [common.truth(*generate_sample(0, 0, index, args.crop)[1:]).to(args.device)
               for index in range(batch)]
    inputs = torch.randn(len(samples), 3, args.crop, args.crop).to(**to)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        with torch.autocast(args.device.partition(':')[0], torch.bfloat16,
                            enabled=args.dtype == 'bfloat16'):
            losses = model.loss(inputs, samples)
        model.parse_losses(losses)[0].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def batch_size(backbone: str, args: argparse.Namespace) -> int:
    return args.batch or load_config(PAIRS[backbone][0]).train_dataloader.batch_size


def make_side(side: str, backbone: str, args: argparse.Namespace) -> Callable[[], None]:
    """Returns the step of one of ``SIDES``."""
    return make_step(model_config(side, backbone), batch_size(backbone, args), args)


def memory(side: str, backbone: str, args: argparse.Namespace) -> dict[str, float]:
    """Returns the memory of three steps, for a process of its own."""
    register_all_modules()
    torch.set_num_threads(args.threads)
    step = make_side(side, backbone, args)
    before = common.peak_memory(args.device)
    for _ in range(3):
        step()
    peak = common.peak_memory(args.device)
    return dict(peak_MiB=peak, grown_MiB=peak - before)


def memory_of(*arguments: Any) -> dict[str, float]:
    """Returns what :func:`memory` does in a fresh process."""
    with (mock.patch.dict(os.environ, GIVE_BACK),
          ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool):
        return pool.submit(memory, *arguments).result()


def measure(backbone: str, args: argparse.Namespace) -> list[dict]:
    """Makes a row for each side; ratios are ours over that side."""
    times = common.alternate({side: make_side(side, backbone, args) for side in SIDES},
                             args.repeats, args.device)
    rows = common.compare(times, 'model', 'ours_over_it')
    for row in rows:
        row |= memory_of(row['model'], backbone, args)
        row |= {f'{key}_ours_over_it': rows[0][f'{key}_MiB'] / row[f'{key}_MiB']
                for key in ('peak', 'grown')}
    return [dict(backbone=backbone, batch=batch_size(backbone, args), **row) for row in rows]


def levers(args: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """Returns our step and the same with one change each, by name."""
    ours, batch = model_config('ours', LEVERS), batch_size(LEVERS, args)
    unsampled, mmsegs, relu6 = (copy.deepcopy(ours) for _ in range(3))
    for head in ('decode_head', 'box_head'):
        unsampled[head].pop('sampler', None)
    mmsegs['decode_head']['sampler'] = dict(type='OHEMPixelSampler', thresh=0.6, min_kept=512)
    relu6['backbone'].pop('act_cfg', None)
    network = {key: ours[key] for key in ('backbone', 'decode_head', 'test_cfg')}
    other_dtype = 'float32' if args.dtype == 'bfloat16' else 'bfloat16'
    changed = {
        f'{args.memory_format}, {args.dtype}': (ours, {}),
        other_dtype: (ours, dict(dtype=other_dtype)),
        'contiguous memory': (ours, dict(memory_format='contiguous_format')),
        'no bootstrapping': (unsampled, {}),
        "categories with mmseg's OHEMPixelSampler": (mmsegs, {}),
        "torch's ReLU6 instead of LeanReLU6": (relu6, {}),
        'without box head (a category network)': (dict(network, type='EncoderDecoder'), {}),
    }
    return {name: make_step(config, batch, argparse.Namespace(**vars(args) | settings))
            for name, (config, settings) in changed.items()}


def main() -> None:
    args = parse_args()
    register_all_modules()
    rows = [row for backbone in args.backbones for row in measure(backbone, args)]
    figures = [
        common.Figure(f"training step, {row['backbone']}: {what}; peer: mmseg's FCN", ours[key],
                      unit, row[key], row[ratio], at_most=0.75)
        for ours, row in zip(rows[::3], rows[1::3], strict=True)
        for what, key, unit, ratio in (
            ('time', 'ms', 'ms', 'ours_over_it'),
            ('peak memory', 'peak_MiB', 'MiB', 'peak_ours_over_it'))]
    times = common.alternate(levers(args), args.repeats, args.device)
    table = common.compare(times, 'lever', 'over_the_first', over_first=True)
    common.finish('training_step', args, rows, figures=figures,
                  tables={f'Levers of our step, {LEVERS}': table},
                  note='Below 1, ours is faster or smaller.')


if __name__ == '__main__':
    main()
