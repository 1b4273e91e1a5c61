from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

from ...errors import InvalidInputError


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Mixed precision on a CPU, for which MMEngine's ``AmpOptimWrapper`` needs an accelerator.

    bfloat16 has float32's range, so gradients need no scaling and the state that is saved is that
    of the plain ``OptimWrapper``: a run may be resumed with or without mixed precision.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The parent's context, with forward passes in bfloat16 where that is safe."""
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield


def has_fast_bfloat16(device: str | None = None) -> bool:
    """Whether the GPU, or without one or on the ``device`` 'cpu' the processor (AVX512-BF16, AMX),
    computes in bfloat16; False where PyTorch is too old to say."""
    if device != 'cpu' and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, 'get_capabilities', dict)()
    return any(capabilities.get(name, False) for name in ('avx512_bf16', 'amx_bf16'))


def use_amp(cfg: Config) -> None:
    """Set mixed precision in the config of a training: float16, which
    :func:`~mmseg_instbox.engine.adapt_to_cpu` makes bfloat16 without a GPU."""
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper in ('AmpOptimWrapper', 'CPUAmpOptimWrapper'):
        print_log('The config trains in mixed precision already; --amp adds nothing.', 'current')
        return
    if wrapper != 'OptimWrapper':
        raise InvalidInputError('--amp replaces an optim_wrapper of type OptimWrapper; the config '
                                f'has {wrapper}: set the precision in the config instead.')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    if cfg.get('strategy', {}).get('type') == 'FSDPStrategy':
        cfg.optim_wrapper.use_fsdp = True  # else each process scales losses by itself
