from collections.abc import Iterator, Sized

from mmengine.dataset import DefaultSampler
from mmseg.registry import DATA_SAMPLERS

from .seeding import SeededIndex, seed_items


@DATA_SAMPLERS.register_module()
class SeededDefaultSampler(DefaultSampler):
    """MMEngine's ``DefaultSampler`` that seeds the transforms of each sample, for epochs.

    As :class:`SeededInfiniteSampler`, with the epoch as the number of the pass.

    Args:
        dataset: The data set; its loader loads each sample under the sample's seed from now on.
        shuffle: Whether each epoch has an order of its own.
        seed: The run's seed; the ``Runner`` fills it in.
        round_up: Whether all processes get the same number of samples.
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: int | None = None,
                 round_up: bool = True) -> None:
        super().__init__(dataset, shuffle, seed, round_up)
        seed_items(dataset)

    def __iter__(self) -> Iterator[SeededIndex]:
        """The parent's indices of this epoch, each with the epoch."""
        seed, epoch = self.seed, self.epoch
        for index in super().__iter__():
            yield SeededIndex(index, seed, epoch)
