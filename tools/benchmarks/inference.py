"""Time of inference from image file to instances, by stage, and what boxes and instances add.

The first table lets three ways take turns on the same prepared images: all of ours; our category
network alone, backbone and category head, that makes the full-size label map as we do (scores
interpolated once, and only at the borders of categories); and the same as mmseg does it (scores
interpolated to the input, then to the image). The second takes InstBoxInferencer apart: the median
of each stage. The third changes our network by one lever each.
"""
import argparse
import contextlib
import copy
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import common
import torch
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.apis.inferencer_settings import default_weights
from mmseg_instbox.apis.jobs.listing import JobInput
from mmseg_instbox.apis.jobs.records import to_record
from mmseg_instbox.apis.model_loading import load_model
from mmseg_instbox.core import base_grouper, dense_prediction, painting
from mmseg_instbox.models.segmentors import cell_predictor
from mmseg_instbox.models.segmentors.mmseg_parts import category_logits
from mmseg_instbox.utils import inputs

VOC = common.ROOT / 'data' / 'voc_mini' / 'VOCdevkit' / 'VOC2012'
SAMPLES = common.ROOT / 'demo' / 'samples'


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'inference', repeats=3)
    parser.add_argument('--images', type=Path, default=VOC / 'JPEGImages' if VOC.is_dir()
                        else SAMPLES, help='folder of pictures (default: %(default)s)')
    parser.add_argument('--list', type=Path,
                        default=VOC / 'ImageSets' / 'Segmentation' / 'val.txt'
                        if VOC.is_dir() else None,
                        help='names of the pictures in it, a line each (default: %(default)s)')
    parser.add_argument('--max-images', type=common.positive, default=30)
    parser.add_argument('--model', help='as of InstBoxInferencer; by default the one in demo/')
    parser.add_argument('--weights', help='as of InstBoxInferencer')
    return common.parse(parser)


def choose_images(args: argparse.Namespace) -> list[str]:
    """Files of the pictures, evenly spread over the list."""
    files = sorted(file for file in args.images.iterdir() if file.suffix in ('.jpg', '.png'))
    if args.list is not None:
        names = set(args.list.read_text().split())
        files = [file for file in files if file.stem in names]
    if not files:
        raise SystemExit(f'{args.images}: no pictures (.jpg, .png) of the list {args.list}')
    step = max(len(files) // args.max_images, 1)
    return [str(file) for file in files[::step][:args.max_images]]


class Stages:
    """Adds up the milliseconds of stages."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.times: dict[str, float] = defaultdict(float)

    def now(self) -> float:
        """Milliseconds, when all that was asked of a GPU is done."""
        if self.device.startswith('cuda'):
            torch.cuda.synchronize()
        return time.perf_counter() * 1e3

    def watch(self, stage: str, owner: Any, name: str) -> mock._patch:
        """A context in which calls of ``owner.name`` count for the stage."""
        original = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            begin = self.now()
            result = original(*args, **kwargs)
            self.times[stage] += self.now() - begin
            return result

        return mock.patch.object(owner, name, watched)


def stages(inferencer: InstBoxInferencer, files: list[str], repeats: int) -> Iterator[dict]:
    """A row for each stage with its median milliseconds of an image and its share."""
    device = str(inferencer.device)
    rounds = [one_by_stage(inferencer, file, device) for turn in range(repeats + 1)
              for file in files if turn or file == files[0]][1:]  # the first warms up
    total = common.median([sum(times.values()) for times in rounds])
    for stage in rounds[0]:
        ms = common.median([times[stage] for times in rounds])
        yield dict(stage=stage, ms=ms, share=f'{ms / total:.1%}')
    yield dict(stage='all', ms=total, share='')


def one_by_stage(inferencer: InstBoxInferencer, file: str, device: str) -> dict[str, float]:
    """Milliseconds of each stage for one file."""
    model, clock = inferencer.model, Stages(device)
    watched = {
        'decode': (inputs, 'read_image'), 'resize': (inferencer, 'pipeline'),
        'normalise and pad': (model.data_preprocessor, 'forward'),
        'backbone': (model, 'extract_feat'), 'category head': (model.decode_head, 'forward'),
        'box head': (model.box_head, 'predict'),
        'scores to image': (cell_predictor, 'best_categories'),
        'grouping': (type(model.grouper), 'group_cells'),
        'masks': (base_grouper, 'draw_instances'),
    }
    begin = clock.now()
    with contextlib.ExitStack() as stack:
        for stage, (owner, name) in watched.items():
            stack.enter_context(clock.watch(stage, owner, name))
        sample, = inferencer.stream(file)
    whole = clock.now() - begin
    missing = set(watched) - set(clock.times)
    if missing:
        raise RuntimeError(f'Nothing was measured for {sorted(missing)}: the inferencer does not '
                           'call these functions any more')
    times = {stage: clock.times[stage] for stage in watched}
    times['between these'] = whole - sum(times.values())
    begin = clock.now()
    to_record(JobInput(str(file), 0, 0), sample, inferencer.dataset_meta['thing_classes'])
    times['encoding (run lengths)'] = clock.now() - begin
    return times


def our_label_map(model: nn.Module, data: dict) -> list[Tensor]:
    """Label maps (H, W) of our backbone and category head alone, made as we make them."""
    data = model.data_preprocessor(data, False)
    batch = data['inputs']
    logits = category_logits(model.decode_head, model.extract_feat(batch))
    maps = []
    for logit, sample in zip(logits, data['data_samples'], strict=True):
        grid, extent = dense_prediction.crop_to_image(
            logit, batch.shape[-2:], sample.img_shape, sample.ori_shape)
        maps.append(painting.best_categories(grid, extent, sample.ori_shape))
    return maps


def mmseg_label_map(model: nn.Module, data: dict) -> list:
    """The same by mmseg's ``EncoderDecoder``."""
    data = model.data_preprocessor(data, False)
    return EncoderDecoder.predict(model, data['inputs'], data['data_samples'])


def prepare(inferencer: InstBoxInferencer, files: list[str]) -> list[dict]:
    """Each image as the network's batch of one."""
    images = inputs.read_inputs(files)
    return [inferencer.collate_fn([inferencer.pipeline(dict(img=image.load()))])
            for image in images]


def take_turns(ways: dict[str, Callable[[dict], Any]], batches: list[dict],
               args: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds of each way, image by image, all images as often as there are rounds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number, batch in enumerate(batches):
        calls = {name: (lambda way=way, batch=batch: way(copy.deepcopy(batch)))
                 for name, way in ways.items()}
        found = common.alternate(calls, args.repeats, args.device, warm_up=1 if number else 2)
        for name, values in found.items():
            times[name] += values
    return times


def compare(times: dict[str, list[float]], title: str, ratio_name: str) -> Iterator[dict]:
    """A row for each way, with the ratio of the first over it."""
    first = next(iter(times.values()))
    for name, values in times.items():
        row = {title: name, 'ms': common.median(values)}
        if values is not first:
            row |= common.ratio_columns(ratio_name, first, values)
        yield row


def added(inferencer: InstBoxInferencer, batches: list[dict],
          args: argparse.Namespace) -> list[dict]:
    """What boxes and instances cost beside a category network."""
    model = inferencer.model
    ways = {
        'ours: label map, boxes and instances': inferencer.forward,
        'category network, label map as ours': lambda batch: our_label_map(model, batch),
        'category network, label map as mmseg': lambda batch: mmseg_label_map(model, batch),
    }
    return list(compare(take_turns(ways, batches, args), 'way', 'ours_over_it'))


def levers(inferencer: InstBoxInferencer, batches: list[dict],
           args: argparse.Namespace) -> list[dict]:
    """Our network, changed by one lever each."""
    def variant(change: Callable[[nn.Module], Any], precision: str = 'fp32') -> Callable:
        model = change(copy.deepcopy(inferencer.model))
        other = InstBoxInferencer(model, precision=precision, show_progress=False)
        return other.forward

    def contiguous(model: nn.Module) -> nn.Module:
        model.data_preprocessor.channels_last = False
        return model.to(memory_format=torch.contiguous_format)

    def unfused(_: nn.Module) -> nn.Module:
        model = args.model or default_weights()
        return load_model(model, args.weights, args.device)

    def last(model: nn.Module) -> nn.Module:
        return model.to(memory_format=torch.channels_last)

    def compiled(model: nn.Module) -> nn.Module:
        model.forward_dense = torch.compile(model.forward_dense, dynamic=True)
        return model

    ways = {
        'as it is': inferencer.forward,
        'contiguous memory': variant(contiguous),
        'weights in channels_last, too': variant(last),
        'convolutions not fused with normalisation': variant(unfused),
        'bf16 autocast': variant(lambda model: model, 'bf16'),
    }
    if shutil.which(os.environ.get('CXX', 'g++')):
        ways['torch.compile, without the minute or two that it takes'] = variant(compiled)
    return list(compare(take_turns(ways, batches, args), 'lever', 'times_faster'))


def main() -> None:
    args = parse_args()
    inferencer = InstBoxInferencer(args.model, args.weights, device=args.device,
                                   show_progress=False)
    files = choose_images(args)
    by_stage = list(stages(inferencer, files, args.repeats))
    with torch.no_grad():
        batches = prepare(inferencer, files)
        rows = added(inferencer, batches, args)
        tables = {'By stage, one image at a time': by_stage,
                  'Levers of our network': levers(inferencer, batches, args)}
    goals = [common.Goal('box head, grouping and masks over the category network alone, label map '
                         f'{how}', 'at most', 1.1, row['ours_over_it'])
             for how, row in zip(('as ours', 'as mmseg'), rows[1:], strict=True)]
    common.finish('inference', args, rows, figure='ms', tables=tables, goals=goals,
                  note=f'{len(files)} pictures; ratios are of an image at a time.')


if __name__ == '__main__':
    main()
