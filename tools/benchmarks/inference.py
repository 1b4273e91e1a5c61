"""Time of inference from image file to instances, by stage, and what boxes and instances add.

In the first table three ways take turns on the same prepared images: all of ours; our category
network alone (backbone and category head) with the full-size category map made as ours, with logits
interpolated once and only at the borders of categories; and the same made as mmseg does it, with
logits interpolated to the input, then to the image. The second table has the median of each stage.
"""
import contextlib
import copy
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from mmseg.models.segmentors import EncoderDecoder
from support import common
from torch import Tensor, nn

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.apis.jobs.listing import JobInput
from mmseg_instbox.apis.jobs.records import to_record
from mmseg_instbox.core import base_grouper, dense_prediction, painting
from mmseg_instbox.datasets.voc_layout import read_list
from mmseg_instbox.models.segmentors import cell_predictor
from mmseg_instbox.models.segmentors.inst_box_segmentor import category_logits
from mmseg_instbox.utils import inputs

VOC = common.ROOT / 'data' / 'voc_mini' / 'VOCdevkit' / 'VOC2012'
MAX_IMAGES = 30  # evenly spread over those at hand


def choose_images(files: list[Path] | None) -> list[str]:
    """Returns the files to predict, of those that are given or of the default ones."""
    names = VOC / 'ImageSets' / 'Segmentation' / 'val.txt'
    if not files and names.is_file():
        files = [VOC / 'JPEGImages' / f'{name}.jpg' for name in sorted(read_list(names))]
    return [str(file) for file in common.spread(files or common.PHOTOGRAPHS, MAX_IMAGES)]


def by_stage(inferencer: InstBoxInferencer, files: list[str], repeats: int) -> list[dict]:
    """Makes a row for each stage with its median milliseconds of an image and its share."""
    times = [time_stages(inferencer, file) for file in [files[0], *files * repeats]][1:]
    total = median([sum(each.values()) for each in times])
    rows = []
    for stage in times[0]:
        ms = median([each[stage] for each in times])
        rows.append(dict(stage=stage, ms=ms, share=f'{ms / total:.1%}'))
    return [*rows, dict(stage='all', ms=total, share='')]


def time_stages(inferencer: InstBoxInferencer, file: str) -> dict[str, float]:
    """Returns the milliseconds of each stage for one file."""
    model, times, device = inferencer.model, defaultdict(float), str(inferencer.device)
    stages = {
        'decode': (inputs, 'read_image'), 'resize': (inferencer, 'pipeline'),
        'normalise and pad': (model.data_preprocessor, 'forward'),
        'backbone': (model, 'extract_feat'), 'category head': (model.decode_head, 'forward'),
        'box head': (model.box_head, 'predict'),
        'category map': (cell_predictor, 'best_categories'),
        'grouping': (type(model.grouper), 'group_cells'),
        'masks': (base_grouper, 'draw_instances'),
    }

    def timed(stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            spent, result = common.timed(partial(work, *args, **kwargs), device)
            times[stage] += spent
            return result
        return call

    with contextlib.ExitStack() as stack:
        for stage, (owner, name) in stages.items():
            stack.enter_context(mock.patch.object(owner, name, timed(stage, getattr(owner, name))))
        sample, = timed('all', list)(inferencer.stream(file))
    whole = times.pop('all')
    times['between these'] = whole - sum(times.values())
    things = inferencer.dataset_meta['thing_classes']
    timed('encoding (run lengths)', to_record)(JobInput(file, 0, 0), sample, things)
    return times


def our_category_map(model: nn.Module, data: dict) -> list[Tensor]:
    """Makes category maps (H, W) by our backbone and category head alone, as our models do."""
    data = model.data_preprocessor(copy.deepcopy(data), False)
    batch = data['inputs']
    logits = category_logits(model.decode_head, model.extract_feat(batch))
    maps = []
    for logit, sample in zip(logits, data['data_samples'], strict=True):
        grid, extent = dense_prediction.crop_to_image(
            logit, batch.shape[-2:], sample.img_shape, sample.ori_shape)
        maps.append(painting.best_categories(grid, extent, sample.ori_shape))
    return maps


def mmseg_category_map(model: nn.Module, data: dict) -> list:
    """Makes the same by mmseg's ``EncoderDecoder``."""
    data = model.data_preprocessor(copy.deepcopy(data), False)
    return EncoderDecoder.predict(model, data['inputs'], data['data_samples'])


def prepare(inferencer: InstBoxInferencer, file: str) -> dict:
    """Makes a batch of one image, which the model's data preprocessor takes."""
    image, = inputs.read_inputs(file)
    return inferencer.collate_fn([inferencer.pipeline(dict(img=image.load()))])


def network_input(inferencer: InstBoxInferencer, file: str) -> Tensor:
    """Makes what the network gets for a file, (1, 3, H, W)."""
    return inferencer.model.data_preprocessor(prepare(inferencer, file))['inputs']


def main() -> None:
    parser = common.make_parser(__doc__, 'inference', repeats=3)
    parser.add_argument('--images', type=Path, nargs='+',
                        help='files; default: those of val in data/voc_mini, else demo/samples')
    args = common.parse(parser, quick=dict(images=[common.SAMPLES / 'chelsea.jpg']))
    inferencer = InstBoxInferencer(device=args.device, show_progress=False)
    model, files = inferencer.model, choose_images(args.images)
    ways = {
        'ours: category map, boxes and instances': lambda data: inferencer.forward(
            copy.deepcopy(data)),
        'category network, category map as ours': lambda data: our_category_map(model, data),
        'category network, category map as mmseg': lambda data: mmseg_category_map(model, data),
    }
    stages = by_stage(inferencer, files, args.repeats)
    batches = [prepare(inferencer, file) for file in files]
    with torch.no_grad():
        times = common.alternate(ways, args.repeats, args.device, batches)
    rows = common.compare(times, 'way', 'ours_over_it')
    what = 'prepared image to instances; peer: category map alone, made as'
    common.finish(
        'inference', args, rows, tables={'By stage, one image at a time': stages},
        note=f'{len(files)} images; ratios are of an image at a time. {common.MODEL}',
        figures=[common.Figure(f'{what} {how}', rows[0]['ms'], 'ms', row['ms'],
                               row['ours_over_it'], at_most=1.1)
                 for how, row in (('mmseg does', rows[2]), ('ours', rows[1]))])


if __name__ == '__main__':
    main()
