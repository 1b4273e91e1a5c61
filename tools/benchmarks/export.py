"""Exported models against the model that they were made from: time, instances and accuracy.

Exports the model in ``demo/`` to ONNX and OpenVINO, each in 32 bits and in 8 bits, and lets the
files take turns with it: the network alone on a prepared image, and from image file to instances.
"eager" is InstBoxInferencer, which fuses convolutions with batch normalisation and keeps channels
last; "plain" is the same model by MMSegmentation's own API, which does neither. Then all predict
the same images: how much their masks agree with the model's, and what InstBoxMetric says of them.
The second table has the time from starting Python to the first result, without OpenMMLab.
"""
import argparse
import copy
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import common
import torch
from mmseg.apis import inference_model
from mmseg.registry import DATASETS
from torch import nn

from mmseg_instbox.apis import InstBoxInferencer
from mmseg_instbox.apis.model_loading import default_weights, load_model
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
    parser = common.make_parser(__doc__, 'export', repeats=7, device=False)
    parser.add_argument('--model', help='of InstBoxInferencer; by default the one in demo/')
    parser.add_argument('--weights', help='of InstBoxInferencer')
    for name, number, what in (('calibration', 100, 'of the training list, for int8'),
                               ('compared', 50, 'on which masks are compared'),
                               ('evaluated', 10_000, 'on which accuracy is measured, at most')):
        parser.add_argument(f'--{name}', type=common.positive, default=number,
                            help=f'images {what} (default: %(default)s)')
    parser.add_argument('--files', type=Path, default=Path('work_dirs/benchmarks/exported'),
                        help='folder for the exported models (default: %(default)s)')
    return common.parse(parser, quick=dict(calibration=4, compared=4, evaluated=4))


def build(cfg: Any, loader: str) -> Any:
    """Builds the data set of a loader of the model's config."""
    dataset = copy.deepcopy(cfg[loader].dataset)
    dataset.data_root = str(common.ROOT / dataset.data_root)
    return DATASETS.build(dataset)


def images_of(dataset: Any, count: int) -> list[str]:
    """Returns at most that many files of a data set, evenly spread."""
    count = min(count, len(dataset))
    return [dataset.get_data_info(index * len(dataset) // count)['img_path']
            for index in range(count)]


def ways(models: dict[str, InstBoxInferencer], plain: nn.Module,
         files: list[str]) -> dict[str, dict[str, Callable]]:
    """Returns the network alone, and the whole way from files to instances, of each model."""
    eager = models['eager']
    data = eager.collate_fn([eager.pipeline(dict(img=read_image(Path(files[0]))))])
    inputs = eager.model.data_preprocessor(data)['inputs']
    plain.data_preprocessor.channels_last = False
    network = {name: partial(each.model.forward_dense, inputs) for name, each in models.items()}
    network[PLAIN] = partial(plain.forward_dense, inputs.contiguous())
    whole = {name: (lambda each=each: list(each.stream(files))) for name, each in models.items()}
    whole[PLAIN] = lambda: [inference_model(plain, file) for file in files]
    return dict(network=network, whole=whole)


def timings(contestants: dict[str, dict[str, Callable]], num_files: int,
            repeats: int) -> dict[str, dict]:
    """Returns milliseconds of each model, and how many times faster it is than eager and plain."""
    rows: dict[str, dict] = {name: {} for name in contestants['whole']}
    for part, calls in contestants.items():
        with torch.no_grad():
            times = common.alternate(calls, repeats)
        for name, each in times.items():
            rows[name] |= {
                f'{part}_ms': common.median(each) / (num_files if part == 'whole' else 1),
                f'{part}_times_faster': common.ratio(times['eager'], each).median,
                f'{part}_times_faster_than_plain': common.ratio(times[PLAIN], each).median}
    return rows


def best_ious(mine: Any, its: Any) -> list[float]:
    """Returns each mask's highest IoU with a mask of its category in another prediction."""
    found = []
    for mask, label in zip(mine.masks, mine.labels, strict=True):
        others = its.masks[its.labels == label]
        inter, union = (mask & others).sum((1, 2)), (mask | others).sum((1, 2))
        found.append(float((inter / union).max()) if len(others) else 0.)
    return found


def agreement(eager: Iterable, other: Iterable) -> dict[str, float]:
    """Compares masks; an object that only one of the two finds counts as 0."""
    ious = []
    for mine, its in zip(eager, other, strict=True):
        pair = mine.pred_instances, its.pred_instances
        ious += best_ious(*pair) + best_ious(*pair[::-1])
    return dict(mean_mask_iou=sum(ious) / max(len(ious), 1), least_mask_iou=min(ious, default=1.))


def accuracy(inferencer: InstBoxInferencer, dataset: Any, count: int) -> dict[str, float]:
    """Returns the metric's figures of a model on the first images of a data set."""
    metric = InstBoxMetric()
    metric.dataset_meta = dataset.metainfo
    for index in range(count):
        truth = dataset[index]['data_samples']
        found, = inferencer.stream(truth.img_path)
        sample = truth.to_dict()
        sample.update(pred_sem_seg=found.pred_sem_seg.to_dict(),
                      pred_instances=found.pred_instances.to_dict())
        metric.process({}, [sample])
    figures = metric.evaluate(count)
    return {name: figures[name] for name in FIGURES}


def first_result(path: Path, image: str) -> float:
    """Returns the seconds from starting Python to the first result, without OpenMMLab."""
    return common.milliseconds(lambda: subprocess.run(
        [sys.executable, '-c', FIRST, str(path), image], check=True, cwd=common.ROOT)) / 1e3


def goals(rows: dict[str, dict], starts: list[dict]) -> list[common.Goal]:
    """Returns the goals, which are of the 32-bit files."""
    exported = [rows[name] for name in ('onnx', 'openvino')]
    faster = [max(min(row[f'{part}_times_faster{than}'] for part in ('network', 'whole'))
                  for row in exported) for than in ('', '_than_plain')]
    changes = [abs(row['APr_vol'] - rows['eager']['APr_vol']) for row in exported]
    return [
        *(common.Goal(f'exported over {name}, the slower of network and whole, times faster',
                      'at least', 2., value)
          for name, value in zip(('eager', 'plain'), faster, strict=True)),
        common.Goal('least mean mask IoU with eager', 'at least', 0.999,
                    min(row['mean_mask_iou'] for row in exported)),
        common.Goal('change of AP^r_vol', 'at most', 0.001, max(changes)),
        common.Goal('first result without OpenMMLab', 'under', 3., max(
            each['first_result_s'] for each in starts if 'int8' not in each['model']), ' s')]


def main() -> None:
    args = parse_args()
    load = partial(InstBoxInferencer, device='cpu', show_progress=False)
    eager = load(args.model, args.weights)
    tested, trained = (build(eager.model.cfg, f'{name}_dataloader') for name in ('test', 'train'))
    args.files.mkdir(parents=True, exist_ok=True)
    calibration = [read_image(Path(file)) for file in images_of(trained, args.calibration)]
    files = {name: export_model(eager.model, args.files / f'{name.replace(" ", "-")}{suffix}',
                                calibration if int8 else None)
             for name, (suffix, int8) in KINDS.items()}
    models = dict(eager=eager, **{name: load(path) for name, path in files.items()})
    plain = load_model(args.model or default_weights(), args.weights, 'cpu')
    timed, compared = images_of(tested, 10), images_of(tested, args.compared)
    rows = timings(ways(models, plain, timed), len(timed), args.repeats)
    for name, model in models.items():
        if model is not eager:
            rows[name] |= agreement(eager.stream(compared), model.stream(compared))
        rows[name] |= accuracy(model, tested, min(args.evaluated, len(tested)))
    starts = [dict(model=name,
                   first_result_s=common.median([first_result(path, compared[0])
                                                 for _ in range(3)]),
                   file_mb=sum(each.stat().st_size for each in args.files.glob(f'{path.stem}.*')
                               if each.suffix in (path.suffix, '.bin')) / common.MIB)
              for name, path in files.items()]
    common.finish(
        'export', args, [dict(model=name, **row) for name, row in rows.items()],
        figure='whole_ms', tables={'Start to first result': starts}, goals=goals(rows, starts),
        note='Ratios are medians of alternating runs. Masks and accuracy are those of '
             'InstBoxInferencer with each file; int8 is calibrated on images of the training list. '
             + ('' if args.model else common.MODEL))


if __name__ == '__main__':
    main()
