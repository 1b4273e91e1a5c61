"""Evaluates many variants of the grouping over one dump, in parallel over the images."""
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import cv2
import torch
from mmengine.config import Config
from mmengine.utils import ProgressBar
from mmseg.registry import TASK_UTILS
from torch import Tensor

from mmseg_instbox.core.base_grouper import BaseGrouper

from ..errors import InvalidInputError
from .dumped_samples import DumpedSamples
from .metrics import InstBoxMetric

T = TypeVar('T')
Variant = Callable[[dict], dict]  # from a dumped sample to one with pred_instances


@dataclass(frozen=True)
class Regroup:
    """Groups the predicted boxes of a sample.

    Args:
        grouper: A grouper.
        thing_ids: Index among the categories of each thing class.
    """
    grouper: BaseGrouper
    thing_ids: Sequence[int]

    def __call__(self, sample: dict) -> dict:
        """The sample of :class:`DumpedSamples` with ``pred_instances``."""
        return regroup(sample, self.grouper, sample['pred_scores']['data'],
                       sample['pred_boxes']['data'], self.thing_ids, sample['grid_extent'],
                       sample['pred_sem_seg']['data'][0])


def regroup(sample: dict, grouper: BaseGrouper, scores: Tensor, boxes: Tensor,
            thing_ids: Sequence[int], extent: tuple[float, float], seg_map: Tensor) -> dict:
    """The sample with the ``pred_instances`` of a grouper, whose arguments see ``BaseGrouper``."""
    instances = grouper(scores, boxes, tuple(seg_map.shape), thing_ids, extent, seg_map)
    return dict(sample, pred_instances=instances.to_dict())


@dataclass(frozen=True)
class _Evaluate:
    """What ``InstBoxMetric`` keeps of an image, for each variant."""
    variants: Sequence[Variant]
    dataset_meta: dict

    def __call__(self, sample: dict) -> list:
        metric = _metric(self.dataset_meta)
        for variant in self.variants:  # one by one, because masks take room
            metric.process({}, [variant(sample)])
        return metric.results


def replay(samples: DumpedSamples, variants: Sequence[Variant],
           workers: int = 1) -> list[dict[str, float]]:
    """The figures of ``InstBoxMetric`` for each variant; the number of processes changes none.

    Args:
        samples: The images; each is loaded once for all variants.
        variants: Functions, which can be pickled, from a sample to one with ``pred_instances``.
        workers: Number of processes; 1 does the work in this one.

    Returns:
        list[dict]: ``mIoU``, ``APr_0.5`` to ``APr_0.9`` and ``APr_vol`` of each variant.
    """
    metric = _metric(samples.dataset_meta)
    images = map_samples(_Evaluate(variants, samples.dataset_meta), samples, workers)
    return [dict(metric.compute_metrics([image[i] for image in images]))
            for i in range(len(variants))]


def _metric(dataset_meta: dict) -> InstBoxMetric:
    metric = InstBoxMetric(prefix='replay')  # without a prefix mmengine warns each time
    metric.dataset_meta = dataset_meta
    return metric


def configured_grouper(cfg: Config) -> dict:
    """The config of the model's grouper, ``PixelBoxGrouper`` where there is none."""
    return dict(cfg.get('model', {}).get('grouper') or dict(type='PixelBoxGrouper'))


def build_grouper(grouper: dict) -> BaseGrouper:
    """A grouper from its config; ValueError that shows the config if it cannot be built."""
    try:
        return TASK_UTILS.build(dict(grouper))
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInputError(f'the grouper {dict(grouper)} cannot be built: {error}') from error


def map_samples(work: Callable[[dict], T], samples: DumpedSamples, workers: int = 1) -> list[T]:
    """Apply a function to each sample, with a progress bar on the standard error.

    Args:
        work: A function that can be pickled.
        samples: The samples; processes load them where they are used.
        workers: Number of processes, each with one thread; 1 does the work in this one.

    Returns:
        list: The results in the order of the samples.
    """
    if workers == 1:
        return _with_progress(map(work, _each(samples)), len(samples))
    # spawned, because OpenCV's and torch's threads do not survive a fork
    pool = ProcessPoolExecutor(workers, get_context('spawn'), _start_worker, (work, samples))
    try:
        return _with_progress(pool.map(_work_on, range(len(samples))), len(samples))
    finally:
        pool.shutdown(cancel_futures=True)


def _each(samples: DumpedSamples) -> Iterator[dict]:
    for index in range(len(samples)):
        yield samples[index]


def _with_progress(results: Iterable[T], total: int) -> list[T]:
    progress, collected = ProgressBar(total, start=False, file=sys.stderr), []
    for result in results:
        if not collected:
            progress.start()  # not before: starting processes print what their imports say
        collected.append(result)
        progress.update()
    sys.stderr.write('\n')
    return collected


def _start_worker(work: Callable[[dict], T], samples: DumpedSamples) -> None:
    """Keep in a process what it needs for every image."""
    global _WORK, _SAMPLES
    _WORK, _SAMPLES = work, samples
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _work_on(index: int) -> T:
    return _WORK(_SAMPLES[index])
