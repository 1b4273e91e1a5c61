"""Evaluates variants of the grouping over one dump, in parallel over the images; no network."""
import reprlib
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import cv2
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmengine.utils import track_iter_progress
from mmseg.registry import DATASETS, TASK_UTILS

from ..core import groupers
from ..core.base_grouper import BaseGrouper, category_map
from ..errors import InvalidInputError
from ..utils.foreign_errors import convert_errors
from .metrics import InstBoxMetric
from .prediction_dump import PredictionDump
from .sample_reader import category_names, decode_image, read_map

T = TypeVar('T')
Variant = Callable[[dict], dict]  # from a dumped sample to one with pred_instances


class DumpedSamples:
    """Data samples as metrics take them, from a dump and its data set.

    ``samples[i]`` is a dict with the ground truth that the data set's pipeline packs, and with
    ``pred_probs`` and ``pred_boxes`` (``dict(data=...)``), ``grid_extent``, and ``pred_sem_seg``,
    the category map of the interpolated probabilities. :class:`Regroup` adds ``pred_instances``.

    Args:
        dataset: The data set that was predicted, with its test pipeline.
        dump: The predictions.

    Attributes:
        dataset_meta (dict): The data set's metainfo.
        thing_ids (list[int]): Index among the classes of each thing class.

    Raises:
        ValueError: The dump is of another data set.
    """

    def __init__(self, dataset: BaseDataset, dump: PredictionDump) -> None:
        self.dataset = dataset
        self.dump = dump
        self.dataset_meta = dict(dataset.metainfo)
        self.thing_ids = category_names(self.dataset_meta)[2]
        paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
        own = dict(self.dataset_meta, images=[Path(path).name for path in paths])
        dumped = dict(dump.meta, images=[Path(path).name for path in dump.img_paths])
        for key in ('classes', 'thing_classes', 'images'):
            given, expected = list(dumped[key]), list(own[key])
            if given != expected:
                raise InvalidInputError(
                    f'{dump.folder}: the dump has {len(given)} {key} {reprlib.repr(given)}, the '
                    f'data set {len(expected)} {reprlib.repr(expected)}; give the config and the '
                    '--cfg-options that the dump was written with.')

    @classmethod
    def from_config(cls, cfg: Config, folder: str | Path) -> 'DumpedSamples':
        """Pair the dump in a folder with the ``test_dataloader.dataset`` of its config.

        Raises FileNotFoundError if it or data are missing, ValueError if it is broken or of another
        data set.
        """
        dump = PredictionDump(folder)
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        with convert_errors('test_dataloader.dataset cannot be built'):
            dataset = DATASETS.build(cfg.test_dataloader.dataset)
        dataset.full_init()
        return cls(dataset, dump)

    def __len__(self) -> int:
        return len(self.dump)

    def __getitem__(self, index: int) -> dict:
        predicted = self.dump[index]
        sample = self.dataset[index]['data_samples'].to_dict()
        probs, extent = predicted['probs'], predicted['extent']
        seg_map = category_map(probs, tuple(read_map(sample, 'gt_sem_seg').shape), extent)
        sample.update(
            pred_probs=dict(data=probs),
            pred_boxes=dict(data=predicted['boxes']),
            pred_sem_seg=dict(data=seg_map[None]),
            grid_extent=extent)
        return sample


@dataclass(frozen=True)
class Regroup:
    """Groups the cells of a sample of :class:`DumpedSamples`, which ``prepare`` changes before.

    ``thing_ids`` are the index among the categories of each thing class.
    """
    grouper: BaseGrouper
    thing_ids: Sequence[int]
    prepare: Callable[[dict], dict] | None = None

    def __call__(self, sample: dict) -> dict:
        """Return the sample with ``pred_instances``."""
        sample = sample if self.prepare is None else self.prepare(sample)
        probs, boxes, seg_map = (sample[key]['data']
                                 for key in ('pred_probs', 'pred_boxes', 'pred_sem_seg'))
        instances = self.grouper(probs, boxes, tuple(seg_map.shape[1:]), self.thing_ids,
                                 sample['grid_extent'], seg_map[0])
        return dict(sample, pred_instances=instances.to_dict())


def build_grouper(grouper: dict) -> BaseGrouper:
    """Build a registered grouper; errors as of ``core.groupers.build_grouper``."""
    return groupers.build_grouper(grouper, TASK_UTILS.get)


def replay(samples: DumpedSamples, variants: Sequence[Variant],
           workers: int = 1) -> list[dict[str, float]]:
    """Compute the figures of ``InstBoxMetric`` for each variant, as :func:`map_samples` works.

    Variants, which can be pickled, add ``pred_instances`` to a sample, which is loaded once for
    all. The figures are ``mIoU``, ``APr_0.5`` to ``APr_0.9`` and ``APr_vol``.
    """
    images = match_images(samples, variants, workers)
    return [dict(_metric(samples).compute_metrics(list(its))) for its in zip(*images, strict=True)]


def match_images(samples: DumpedSamples, variants: Sequence[Variant], workers: int = 1,
                 **metric_args) -> list[list[dict]]:
    """What ``InstBoxMetric(**metric_args)`` keeps of each image and each variant of it."""
    work = partial(_match, variants=variants, metric=_metric(samples, **metric_args))
    return map_samples(work, samples, workers)


def _metric(samples: DumpedSamples, **metric_args) -> InstBoxMetric:
    metric = InstBoxMetric(prefix='replay', **metric_args)  # without one mmengine warns each time
    metric.dataset_meta = samples.dataset_meta
    return metric


def _match(sample: dict, variants: Sequence[Variant], metric: InstBoxMetric) -> list[dict]:
    changed = (variant(sample) for variant in variants)  # one by one, because masks take room
    return [metric.measure(each, decode_image(each, metric.dataset_meta)) for each in changed]


def map_samples(work: Callable[[dict], T], samples: DumpedSamples, workers: int = 1) -> list[T]:
    """Apply a function that can be pickled to each sample, with a progress bar on stderr.

    Results are in the order of the samples. Each of the ``workers`` is a process of one thread that
    loads samples where it uses them; 1 does the work in this process.
    """
    places = range(len(samples))
    with ExitStack() as stack:
        if workers == 1:
            results = (work(samples[place]) for place in places)
        else:  # spawned, because OpenCV's and torch's threads do not survive a fork
            pool = ProcessPoolExecutor(workers, get_context('spawn'), _start_worker,
                                       (work, samples))
            stack.callback(pool.shutdown, cancel_futures=True)
            results = pool.map(_work_on, places)
        return list(track_iter_progress((results, len(places)), file=sys.stderr))


def _start_worker(work: Callable[[dict], T], samples: DumpedSamples) -> None:
    """Keep in a process what it needs for every image."""
    global _WORK, _SAMPLES
    _WORK, _SAMPLES = work, samples
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _work_on(index: int) -> T:
    return _WORK(_SAMPLES[index])
