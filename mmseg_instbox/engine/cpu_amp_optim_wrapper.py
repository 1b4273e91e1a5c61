from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Mixed precision on a CPU: bfloat16 autocast, no loss scaling.

    MMEngine's ``AmpOptimWrapper`` refuses to work without an accelerator. A CPU computes in
    bfloat16, whose exponent has float32's range, so gradients need no scaling and the state that is
    saved is that of the plain ``OptimWrapper``: a run may go on with or without mixed precision.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The parent's context, with forward passes in bfloat16 where that is safe."""
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield
