import torch.nn.functional as F
from torch import Tensor, nn


class InputDropout:
    """A forward pre-hook that drops values of a module's input while the module trains.

    A dropout of its own inside a block would need a copy of the block's ``forward``, or change the
    keys of its state dict; a hook does neither.

    Args:
        rate: Probability of a value to be dropped.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """The inputs, the first with dropout if ``module`` is in training mode."""
        first, *others = inputs
        return F.dropout(first, self.rate, module.training), *others
