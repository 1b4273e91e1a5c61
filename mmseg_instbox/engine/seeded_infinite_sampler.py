from collections.abc import Iterator, Sized

from mmengine.dataset import InfiniteSampler
from mmseg.registry import DATA_SAMPLERS

from .seeding import SeededIndex, seed_items


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(InfiniteSampler):
    """MMEngine's ``InfiniteSampler`` that seeds the transforms of each sample.

    The seed follows from the run's seed, the number of the pass over the data set, and the index.
    So what augmentation draws depends neither on the number of workers or processes, nor on whether
    the run was interrupted.

    Args:
        dataset: The data set; its loader loads each sample under the sample's seed from now on.
        shuffle: Whether each pass has an order of its own.
        seed: The run's seed; the ``Runner`` fills it in.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        super().__init__(dataset, shuffle, seed)
        seed_items(dataset)

    def _infinite_indices(self) -> Iterator[SeededIndex]:
        """The parent's indices, of all processes, each with the pass that it belongs to."""
        for position, index in enumerate(super()._infinite_indices()):
            yield SeededIndex(index, self.seed, position // self.size)
