"""Exported models against the model that they were made from: time, instances and accuracy.

The model in ``demo/`` and its exports to ONNX and OpenVINO, each in 32 bits and in 8 bits, take
turns: the network alone on a prepared image, and from image file to instances. "eager" is
InstBoxInferencer, which fuses convolutions with batch normalisation and keeps channels last, also
with ``precision='bf16'`` where the processor computes in bfloat16; mmseg's inference_model runs the
same model and does neither. Then all predict the same images: how much their masks agree with the
model's, and what InstBoxMetric says of them. The second table has the time from starting Python to
the first result, without OpenMMLab.
"""
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from inference import network_input
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmseg.apis import inference_model
from mmseg.registry import DATASETS
from support import common
from torch import nn

from mmseg_instbox.apis import InstBoxInferencer, load_model
from mmseg_instbox.apis.model_loading import default_weights
from mmseg_instbox.deploy import export_model
from mmseg_instbox.engine.optim_wrappers import has_fast_bfloat16
from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric
from mmseg_instbox.utils.decoding import read_image

KINDS = {'onnx': ('.onnx', False), 'openvino': ('.xml', False), 'onnx int8': ('.onnx', True),
         'openvino int8': ('.xml', True)}
FIGURES = ('mIoU', 'APr_0.5', 'APr_0.7', 'APr_vol')
PLAIN = "mmseg's inference_model"
BFLOAT16 = 'eager, bfloat16'  # where the processor computes in it
FIRST = """
import sys
from mmseg_instbox.deploy import ExportedModel
assert ExportedModel(sys.argv[1])(sys.argv[2])['predictions']
assert not {'mmseg', 'mmdet', 'mmengine', 'mmcv'} & set(sys.modules)
"""


def images_of(dataset: Any, count: int) -> list[str]:
    """Returns at most that many files of a data set, evenly spread."""
    return [dataset.get_data_info(index)['img_path']
            for index in common.spread(range(len(dataset)), count)]


def autocast(name: str) -> torch.autocast:
    """Returns the context in which a model's network runs."""
    return torch.autocast('cpu', torch.bfloat16, enabled=name == BFLOAT16)


@torch.no_grad()
def timings(models: dict[str, InstBoxInferencer], plain: nn.Module, files: list[str],
            repeats: int) -> dict[str, dict]:
    """Returns milliseconds of each model, and how many times faster it is than eager and plain."""
    eager = models['eager']
    inputs = network_input(eager, files[0])
    plain.data_preprocessor.channels_last = False
    network = {name: partial(autocast(name)(each.model.forward_dense), inputs)
               for name, each in models.items()}
    network[PLAIN] = partial(plain.forward_dense, inputs.contiguous())
    whole = {name: (lambda each=each: list(each.stream(files))) for name, each in models.items()}
    whole[PLAIN] = lambda: [inference_model(plain, file) for file in files]
    rows: dict[str, dict] = {name: {} for name in whole}
    for part, calls, count in (('network', network, 1), ('whole', whole, len(files))):
        times = common.alternate(calls, repeats)
        for name, row in rows.items():
            over_eager, over_plain = (float(np.median(np.divide(times[each], times[name])))
                                      for each in ('eager', PLAIN))
            row |= {f'{part}_ms': median(times[name]) / count,
                    f'{part}_times_faster': over_eager,
                    f'{part}_times_faster_than_plain': over_plain}
    return rows


def agreement(eager: Iterable, other: Iterable) -> dict[str, float]:
    """Compares masks with the most similar of their category in the other prediction.

    An object that only one of the two finds counts as 0.
    """
    ious = []
    for pair in zip(eager, other, strict=True):
        mine, its = (each.pred_instances for each in pair)
        pixels = [each.masks.flatten(1).float() for each in (mine, its)]
        inter = pixels[0] @ pixels[1].T
        union = pixels[0].sum(1)[:, None] + pixels[1].sum(1)[None] - inter
        iou = inter / union * (mine.labels[:, None] == its.labels[None])
        iou = nn.functional.pad(iou, (0, 1, 0, 1))  # for one that finds nothing
        ious += [*iou[:-1].amax(1).tolist(), *iou[:, :-1].amax(0).tolist()]
    return dict(mean_mask_iou=sum(ious) / max(len(ious), 1), least_mask_iou=min(ious, default=1.))


@torch.no_grad()
def accuracy(model: nn.Module, dataset: Any, count: int) -> dict[str, float]:
    """Returns the metrics' figures of a model on the first images of a data set."""
    evaluator = Evaluator([InstBoxMetric(), InstCocoMetric()])
    evaluator.dataset_meta = dataset.metainfo
    batches = (pseudo_collate([dataset[i]]) for i in range(min(count, len(dataset))))
    return evaluator.offline_evaluate(model.test_step(batch)[0] for batch in batches)


def start(name: str, path: Path, image: str) -> dict[str, Any]:
    """Makes a row of the second table: seconds to the first result, the fastest of three."""
    files = [path, path.with_suffix('.bin')]  # OpenVINO has weights beside the network
    run = partial(common.run_script, '-c', FIRST, path, image)
    return dict(model=name, first_result_s=min(common.timed(run)[0] for _ in range(3)) / 1e3,
                file_mb=sum(each.stat().st_size for each in files if each.is_file()) / common.MIB)


def figures(rows: dict[str, dict], starts: list[dict]) -> Iterator[common.Figure]:
    """Yields times against both peers, and goals of the 32-bit files."""
    for name in ('eager', 'onnx', 'openvino'):
        for over, peer in (('_than_plain', PLAIN), ('', 'eager')):
            if name != peer:
                yield common.Figure(
                    f'file to instances, {name}; peer: {peer}', rows[name]['whole_ms'], 'ms',
                    rows[peer]['whole_ms'], 1 / rows[name][f'whole_times_faster{over}'],
                    None if name == 'eager' else 0.5)
    for name in ('onnx', 'openvino'):
        change = abs(rows[name]['APr_vol'] - rows['eager']['APr_vol'])
        yield common.Figure(f'{name}: mean mask IoU with eager', rows[name]['mean_mask_iou'],
                            at_least=0.999)
        yield common.Figure(f'{name}: change of AP^r_vol', change, at_most=0.001)
        first, = (each['first_result_s'] for each in starts if each['model'] == name)
        yield common.Figure(f'{name}: first result', first, 's', at_most=3.)


def main() -> None:
    parser = common.make_parser(__doc__, 'export', repeats=7, device=False)
    parser.add_argument('--model', help='of InstBoxInferencer; by default the one in demo/')
    parser.add_argument('--weights', help='of InstBoxInferencer')
    parser.set_defaults(calibration=100, compared=50, evaluated=10_000)  # numbers of images
    args = common.parse(parser, quick=dict(calibration=4, compared=4, evaluated=4))
    load = partial(InstBoxInferencer, device='cpu', show_progress=False)
    eager = load(args.model, args.weights)
    tested, trained = (DATASETS.build(eager.model.cfg[f'{name}_dataloader'].dataset)
                       for name in ('test', 'train'))
    calibration = [read_image(Path(file)) for file in images_of(trained, args.calibration)]
    plain = load_model(args.model or default_weights(), args.weights, 'cpu')
    models, starts, compared = dict(eager=eager), [], images_of(tested, args.compared)
    if has_fast_bfloat16('cpu'):
        models[BFLOAT16] = load(args.model, args.weights, precision='bf16')
    with tempfile.TemporaryDirectory() as folder:
        for name, (suffix, int8) in KINDS.items():
            path = export_model(eager.model, Path(folder, name.replace(' ', '-') + suffix),
                                calibration if int8 else None)
            models[name] = load(path)
            starts.append(start(name, path, compared[0]))
        rows = timings(models, plain, images_of(tested, 10), args.repeats)
        for name, model in models.items():
            if model is not eager:
                rows[name] |= agreement(eager.stream(compared), model.stream(compared))
            measured = autocast(name)(accuracy)(model.model, tested, args.evaluated)
            rows[name] |= {figure: measured[figure] for figure in FIGURES}
    common.finish(
        'export', args, [dict(model=name, **row) for name, row in rows.items()],
        tables={'Start to first result': starts}, figures=list(figures(rows, starts)),
        note='int8 is calibrated on images of the training list. '
             + ('' if args.model else common.MODEL))


if __name__ == '__main__':
    main()
