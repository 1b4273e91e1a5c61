"""Exported models against the model that they were made from: time, instances and accuracy.

Writes the model as ONNX and OpenVINO, each with 32-bit and with 8-bit numbers, and lets them take
turns with it: the network alone on a prepared picture, and from image file to instances. "eager" is
InstBoxInferencer, which fuses convolutions with batch normalization and keeps channels last;
"plain" is the same model by MMSegmentation's own API, which does neither. Then all predict the same
pictures: how much their masks agree with the model's, and what InstBoxMetric says of them. A second
table has the time from starting Python to the first result, without OpenMMLab.
"""
import argparse
import copy
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import common
import torch
from mmseg.apis import inference_model
from mmseg.registry import DATASETS
from torch import Tensor, nn

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.apis.inferencer_settings import default_weights
from mmseg_instbox.apis.model_loading import load_model
from mmseg_instbox.deploy import export_model
from mmseg_instbox.evaluation.metrics import InstBoxMetric
from mmseg_instbox.utils.decoding import read_image

KINDS = {'onnx': ('.onnx', False), 'openvino': ('.xml', False), 'onnx int8': ('.onnx', True),
         'openvino int8': ('.xml', True)}
FIGURES = ('mIoU', 'APr_0.5', 'APr_0.7', 'APr_vol')
PLAIN = "plain: eager by mmseg's inference_model"
FIRST = """
import sys
from mmseg_instbox.deploy import ExportedModel
assert ExportedModel(sys.argv[1])(sys.argv[2])['predictions']
assert not {'mmseg', 'mmdet', 'mmengine', 'mmcv'} & set(sys.modules)
"""


def parse_args() -> argparse.Namespace:
    parser = common.make_parser(__doc__, 'export', repeats=7)
    parser.add_argument('--model', help='as of InstBoxInferencer; by default the one in demo/')
    parser.add_argument('--weights', help='as of InstBoxInferencer')
    parser.add_argument('--calibration', type=common.positive, default=100,
                        help='pictures of the training list for int8 (default: %(default)s)')
    parser.add_argument('--compared', type=common.positive, default=50,
                        help='pictures on which masks are compared (default: %(default)s)')
    parser.add_argument('--evaluated', type=int, default=10_000,
                        help='at most so many pictures for the accuracy (default: all)')
    parser.add_argument('--files', type=Path, default=Path('work_dirs/benchmarks/exported'),
                        help='folder for the exported models (default: %(default)s)')
    return common.parse(parser)


def pictures_of(dataset: Any, count: int) -> list[str]:
    """At most so many files of a data set, evenly spread."""
    count = min(count, len(dataset))
    return [dataset.get_data_info(index * len(dataset) // count)['img_path']
            for index in range(count)]


def export_all(model: InstBoxInferencer, files: list[str], folder: Path) -> dict[str, Path]:
    """The exported models by kind."""
    folder.mkdir(parents=True, exist_ok=True)
    calibration = [read_image(Path(file)) for file in files]
    return {name: export_model(model.model, folder / f'{name.replace(" ", "-")}{suffix}',
                               calibration if int8 else None)
            for name, (suffix, int8) in KINDS.items()}


def prepared(inferencer: InstBoxInferencer, file: str) -> Tensor:
    """A picture as the network sees it."""
    data = inferencer.collate_fn([inferencer.pipeline(dict(img=read_image(Path(file))))])
    return inferencer.model.data_preprocessor(data)['inputs']


def network(inferencer: InstBoxInferencer, inputs: Tensor) -> Callable[[], Any]:
    """One pass of the network alone."""
    def work() -> Any:
        with torch.no_grad():
            return inferencer.model.forward_dense(inputs)
    return work


def whole(inferencer: InstBoxInferencer, files: list[str]) -> None:
    """From image files to instances."""
    for _ in inferencer.stream(files):
        pass


def plain_ways(model: nn.Module, inputs: Tensor, files: list[str]) -> dict[str, Callable]:
    """Network and whole by MMSegmentation's API, which neither fuses layers nor orders memory."""
    model.data_preprocessor.channels_last = False
    contiguous = inputs.contiguous()

    def forward() -> None:
        with torch.no_grad():
            model.forward_dense(contiguous)

    def predict() -> None:
        for file in files:
            inference_model(model, file)

    return dict(network=forward, whole=predict)


def timings(models: dict[str, InstBoxInferencer], plain: nn.Module, files: list[str],
            repeats: int) -> dict[str, dict]:
    """Milliseconds of each model, and how many times faster it is than the first."""
    inputs = prepared(models['eager'], files[0])
    works = dict(
        network={name: network(model, inputs) for name, model in models.items()},
        whole={name: partial(whole, model, files) for name, model in models.items()})
    for part, work in plain_ways(plain, inputs, files).items():
        works[part][PLAIN] = work
    rows = {name: {} for name in works['whole']}
    for part, contestants in works.items():
        times = common.alternate(contestants, repeats)
        for name, each in times.items():
            scale = len(files) if part == 'whole' else 1
            rows[name][f'{part}_ms'] = common.median(each) / scale
            rows[name][f'{part}_times_faster'] = common.ratio(times['eager'], each).median
            rows[name][f'{part}_times_faster_than_plain'] = common.ratio(times[PLAIN], each).median
    return rows


def best_ious(mine: Any, its: Any) -> list[float]:
    """The IoU of each mask of one prediction with the likest of its category in another."""
    found = []
    for mask, label in zip(mine.masks, mine.labels, strict=True):
        others = its.masks[its.labels == label]
        inter, union = (mask & others).sum((1, 2)), (mask | others).sum((1, 2))
        found.append(float((inter / union).max()) if len(others) else 0.)
    return found


def agreement(eager: Iterable, other: Iterable) -> dict[str, float]:
    """How much masks agree, objects that only one of the two finds counting as 0."""
    ious = []
    for mine, its in zip(eager, other, strict=True):
        pair = mine.pred_instances, its.pred_instances
        ious += best_ious(*pair) + best_ious(*pair[::-1])
    return dict(mean_mask_iou=sum(ious) / max(len(ious), 1), least_mask_iou=min(ious, default=1.))


def accuracy(inferencer: InstBoxInferencer, dataset: Any, indices: range) -> dict[str, float]:
    """What the metric says of a model on a data set."""
    metric = InstBoxMetric()
    metric.dataset_meta = dataset.metainfo
    for index in indices:
        truth = dataset[index]['data_samples']
        found, = inferencer.stream(truth.img_path)
        sample = truth.to_dict()
        sample.update(pred_sem_seg=found.pred_sem_seg.to_dict(),
                      pred_instances=found.pred_instances.to_dict())
        metric.process({}, [sample])
    figures = metric.evaluate(len(indices))
    return {name: figures[name] for name in FIGURES}


def first_result(path: Path, picture: str) -> float:
    """Seconds from starting Python to the first result, without OpenMMLab."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, '-c', FIRST, str(path), picture], check=True, cwd=common.ROOT)
    return time.perf_counter() - begin


def build(cfg: Any, loader: str) -> Any:
    """The data set of a loader of the model's config."""
    dataset = copy.deepcopy(cfg[loader].dataset)
    dataset.data_root = str(common.ROOT / dataset.data_root)
    return DATASETS.build(dataset)


def main() -> None:
    args = parse_args()
    load = partial(InstBoxInferencer, device='cpu', show_progress=False)
    eager = load(args.model, args.weights)
    tested, trained = (build(eager.model.cfg, f'{name}_dataloader') for name in ('test', 'train'))
    files = export_all(eager, pictures_of(trained, args.calibration), args.files)
    models = dict(eager=eager, **{name: load(path) for name, path in files.items()})
    plain = load_model(args.model or default_weights(), args.weights, 'cpu')
    rows = timings(models, plain, pictures_of(tested, 10), args.repeats)
    compared = pictures_of(tested, args.compared)
    for name, model in models.items():
        if model is not eager:
            rows[name].update(agreement(eager.stream(compared), model.stream(compared)))
        rows[name].update(accuracy(model, tested, range(min(args.evaluated, len(tested)))))
    starts = [dict(model=name, first_result_s=common.median(
        [first_result(path, compared[0]) for _ in range(3)]),
        file_mb=sum(each.stat().st_size for each in {path, path.with_suffix(
            '.bin' if path.suffix == '.xml' else '.onnx')}) / common.MIB)
        for name, path in files.items()]
    faster, than_plain = (
        {name: min(rows[name][f'{part}_{what}'] for part in ('network', 'whole'))
         for name in ('onnx', 'openvino')} for what in ('times_faster', 'times_faster_than_plain'))
    common.finish(
        'export', args, [dict(model=name, **row) for name, row in rows.items()],
        figure='whole_times_faster', tables={'Start to first result': starts},
        goals=[
            common.Goal('exported over eager, the slower of network and whole, times faster',
                        'at least', 2., max(faster.values())),
            common.Goal('exported over plain, the slower of network and whole, times faster',
                        'at least', 2., max(than_plain.values())),
            common.Goal('least mean mask IoU with eager', 'at least', 0.999,
                        min(rows[name]['mean_mask_iou'] for name in faster)),
            common.Goal('change of AP^r_vol', 'at most', 0.001, max(
                abs(rows[name]['APr_vol'] - rows['eager']['APr_vol']) for name in faster)),
            common.Goal('first result without OpenMMLab', 'under', 3., max(
                each['first_result_s'] for each in starts if 'int8' not in each['model']), ' s')],
        note='Ratios are medians of alternating runs. Masks and accuracy are those of '
             'InstBoxInferencer with each file; int8 is calibrated on pictures of the training '
             'list.')


if __name__ == '__main__':
    main()
