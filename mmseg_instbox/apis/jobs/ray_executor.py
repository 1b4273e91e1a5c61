"""Executes a job on Ray Data: on this machine, or on the cluster that Ray is connected to."""
import logging
import os
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import cv2
import torch

from ...errors import InstBoxError, MissingPackageError
from ...utils.foreign_errors import convert_errors
from .worker import Failures, Shard, ShardWorker

OBJECT_STORE = 128 * 2**20  # bytes; only names and numbers go through it
RETRIES = 2  # of a shard whose worker died
SHARDS_EACH = 4  # for a worker, so that all end at about the same time


class RayExecutor(AbstractContextManager):
    """Lets stateful workers of Ray Data predict shards.

    Uses the cluster that Ray is connected to or that ``RAY_ADDRESS`` names; otherwise starts Ray on
    this machine and stops it at the end of the ``with`` block. Workers get a GPU each if the
    cluster has any and ``device`` is not the CPU, else a CPU and a thread each; by default there
    are as many as GPUs or, without any, CPUs. ImportError if Ray Data is not installed.
    """

    def __init__(self, device: str | None = None, workers: int | None = None) -> None:
        os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # Ray would report to its authors
        os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')
        with convert_errors("The engine ray needs Ray Data: pip install 'mmseg_instbox[ray]'",
                            ImportError, to=MissingPackageError):
            import ray.data
        self._ray = ray
        self._started = not ray.is_initialized()
        if self._started:
            options = {} if os.environ.get('RAY_ADDRESS') else dict(
                num_cpus=max(workers or 0, os.cpu_count() or 1), include_dashboard=False,
                object_store_memory=OBJECT_STORE)
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        resources = ray.cluster_resources()
        gpus = int(resources.get('GPU', 0)) if not str(device).startswith('cpu') else 0
        self.num_gpus = 1 if gpus else 0
        self.workers = workers or gpus or max(int(resources.get('CPU', 1)), 1)

    def __exit__(self, *_: Any) -> None:
        if self._started:
            self._ray.shutdown()

    def execute(self, worker: dict[str, Any],
                shards: Sequence[Shard]) -> Iterator[tuple[int, Failures]]:
        """Yields what a ``ShardWorker`` of these arguments returns for each shard, in any order."""
        if not shards:
            return
        context = self._ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # go on without shards whose workers died
        logging.getLogger('ray.data').setLevel(logging.ERROR)
        size = min(self.workers, len(shards))
        rows = [dict(shard=pickle.dumps(shard)) for shard in shards]
        with warnings.catch_warnings():  # Ray 2.64 drops the retries without a replacement
            warnings.simplefilter('ignore')
            results = self._ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                _RayWorker, fn_constructor_args=(worker, None if self.num_gpus else 1),
                compute=self._ray.data.ActorPoolStrategy(
                    min_size=1, max_size=size, initial_size=size),
                num_cpus=1, num_gpus=self.num_gpus, max_restarts=-1, max_task_retries=RETRIES)
        try:
            for row in results.iter_rows():
                yield pickle.loads(row['result'])
        except self._ray.exceptions.RayError as error:
            *_, reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InstBoxError(f'Ray could not go on: {reason.strip()}') from error


class _RayWorker:
    """Calls a ``ShardWorker`` with the rows of Ray Data, which hold bytes."""

    def __init__(self, worker: dict[str, Any], threads: int | None) -> None:
        cv2.setNumThreads(0)
        if threads is not None:
            torch.set_num_threads(threads)
        self._worker = ShardWorker(**worker)

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        return dict(result=pickle.dumps(self._worker(pickle.loads(row['shard']))))
