import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import DistSamplerSeedHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..samplers.seeded_samplers import derived_seed


@HOOKS.register_module()
class ResumableSeedHook(DistSamplerSeedHook):
    """Gives a resumed run the random numbers that it would have had without the interruption.

    MMEngine restores the run's seed after the order of the data is settled, and saves no random
    state. This hook hands the restored seed to the sampler of the training data, and seeds what the
    model draws (dropout) before each iteration by the run's seed, the iteration and the process.
    Transforms are seeded by :class:`SeededInfiniteSampler` and :class:`SeededDefaultSampler`.

    It replaces ``DistSamplerSeedHook``, whose work it also does::

        default_hooks = dict(sampler_seed=dict(type='ResumableSeedHook'))
    """

    def before_run(self, runner: Runner) -> None:
        """Note the seed that the run started with."""
        self._first_seed = runner.seed

    def before_train(self, runner: Runner) -> None:
        """Hand a restored seed to the sampler, unless its config gives it one of its own."""
        sampler = getattr(runner.train_loop.dataloader.batch_sampler, 'sampler', None)
        if getattr(sampler, 'seed', None) == self._first_seed:
            sampler.seed = runner.seed

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Seed ``random``, ``numpy.random`` and torch on all devices."""
        seed = derived_seed(runner.seed, runner.iter, get_rank(), 1)  # 1: none of a sample's seeds
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
