"""Samplers whose random numbers depend on where a run stands, not on what was drawn before."""
import random
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.registry import DATA_SAMPLERS


def derived_seed(*numbers: int) -> int:
    """A seed of 32 bits that depends on each of several non-negative numbers and their order."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed ``random``, ``numpy.random`` and torch on the CPU; restore their states at the end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach for accelerators, too
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class SeededIndex(int):
    """The index of a sample, with the run's seed and the number of passes over the data before."""

    def __new__(cls, index: int, run_seed: int, pass_number: int) -> 'SeededIndex':
        self = super().__new__(cls, index)
        self.drawn = run_seed, pass_number
        return self

    def __getnewargs__(self) -> tuple[int, int, int]:
        """The arguments for unpickling it in a data loader's worker process."""
        return int(self), *self.drawn

    @property
    def seed(self) -> int:
        """The seed of the sample's random transforms, in [0, 2 ** 32)."""
        return derived_seed(*self.drawn, self)


def load_items(dataset: Sequence, indices: Sequence[int]) -> list:
    """The samples of a batch, each under the seed of its :class:`SeededIndex`, if it has one."""
    samples = []
    for index in indices:
        with seeded(index.seed) if isinstance(index, SeededIndex) else nullcontext():
            samples.append(dataset[int(index)])
    return samples


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(InfiniteSampler):
    """MMEngine's ``InfiniteSampler`` that seeds the transforms of each sample.

    The seed follows from the run's seed, the number of the pass over the data set, and the index.
    So what augmentation draws depends neither on the number of workers or processes, nor on whether
    the run was interrupted.

    Args:
        dataset: The data set; its loader loads each sample under the sample's seed from now on.
        shuffle: Whether to shuffle the indices of each pass.
        seed: The run's seed; the ``Runner`` fills it in.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        super().__init__(dataset, shuffle, seed)
        dataset.__getitems__ = partial(load_items, dataset)  # which PyTorch's loaders call

    def _infinite_indices(self) -> Iterator[SeededIndex]:
        """The parent's indices, of all processes, each with the pass that it belongs to."""
        for position, index in enumerate(super()._infinite_indices()):
            yield SeededIndex(index, self.seed, position // self.size)


@DATA_SAMPLERS.register_module()
class SeededDefaultSampler(DefaultSampler):
    """As :class:`SeededInfiniteSampler`, for epochs: the number of the pass is the epoch."""

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None,
                 round_up: bool = True) -> None:
        super().__init__(dataset, shuffle, seed, round_up)
        dataset.__getitems__ = partial(load_items, dataset)  # which PyTorch's loaders call

    def __iter__(self) -> Iterator[SeededIndex]:
        """The parent's indices of this epoch, each with the epoch."""
        seed, epoch = self.seed, self.epoch
        for index in super().__iter__():
            yield SeededIndex(index, seed, epoch)
