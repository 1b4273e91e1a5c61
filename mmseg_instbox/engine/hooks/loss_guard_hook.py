import logging
import math
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...errors import TrainingError
from ...utils import walk

COUNT = 'non_finite_losses'  # in the message hub, so that a resumed run goes on counting
NAMES_SHOWN = 3
ADVICE = 'lower the learning rate or clip gradients (optim_wrapper.clip_grad)'


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Skips and logs batches whose loss is NaN or infinite; aborts after ``tolerated`` of them.

    In such an iteration there is no backward pass and no update: weights, optimizer and running
    statistics (batch normalization) stay as they were before it, on all processes, whichever of
    them had the loss. With gradient accumulation, what the window has gathered so far is dropped,
    too. Iterations and learning rates are counted on, and ``EMAHook`` takes its step towards the
    same weights. Mixed precision's own skipped steps are not counted::

        default_hooks = dict(loss_guard=dict(type='LossGuardHook', tolerated=10))

    No checkpoint is written whose weights or optimizer state hold a NaN or infinite number that was
    not there at the start.

    Args:
        tolerated: How many such iterations a run may have, those before it was resumed included.
    """

    priority = 'VERY_HIGH'

    def __init__(self, tolerated: int = 10) -> None:
        self.tolerated = tolerated
        self._skipped = False
        self._known: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Stand between the loss and the update."""
        wrapper = runner.optim_wrapper
        self._known = set(_non_finite(runner.model.state_dict()))
        self._buffers = list(runner.model.buffers())
        self._kept = [buffer.clone() for buffer in self._buffers]
        for module in runner.model.modules():
            if hasattr(module, 'guarded'):  # PixelBoxHead: a loss of NaN instead of an error
                module.guarded = True
        update = type(wrapper).update_params

        def guarded_update(loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            not_finite = (~torch.isfinite(loss.detach()).all()).float()
            all_reduce(not_finite, op='max')
            self._skipped = bool(not_finite.item())
            if not self._skipped:
                update(wrapper, loss, *args, **kwargs)
                return
            for kept, buffer in zip(self._kept, self._buffers, strict=True):
                buffer.copy_(kept)  # as it was before the forward pass
            if hasattr(wrapper, '_inner_count'):  # DeepSpeed's engine does this by itself
                wrapper.zero_grad()
                wrapper._inner_count += 1

        wrapper.update_params = guarded_update

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Keep the running statistics as they are."""
        for kept, buffer in zip(self._kept, self._buffers, strict=True):
            kept.copy_(buffer)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Log a skipped iteration; TrainingError if it is one too many, or the weights are bad."""
        if not self._skipped:
            return
        self._skipped = False
        iteration, hub = runner.iter + 1, runner.message_hub
        count = hub.get_info(COUNT, 0) + 1
        hub.update_info(COUNT, count)
        found = '; '.join(filter(None, all_gather_object(_describe(outputs, data_batch))))
        if is_main_process():
            print_log(f'Iteration {iteration}: the loss is not finite, so it changes nothing '
                      f'({count} of {self.tolerated} such iterations that are tolerated). {found}',
                      'current', logging.WARNING)
        if names := self._new_non_finite(runner.model.state_dict()):
            raise TrainingError(f'The weights are not finite before iteration {iteration} '
                                f'({names}): an earlier update made them so; {ADVICE}.')
        if count > self.tolerated:
            raise TrainingError(
                f'The loss was not finite in {count} iterations, and {self.tolerated} are '
                f'tolerated. In iteration {iteration}: {found}. These iterations changed no '
                f'weights. Look at these images and their masks, {ADVICE}, or set '
                'default_hooks.loss_guard.tolerated.')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Raise TrainingError if weights or optimizer hold a number that is not finite."""
        for part in ('state_dict', 'ema_state_dict', 'optimizer'):
            if names := self._new_non_finite(checkpoint.get(part)):
                raise TrainingError(
                    f'After iteration {runner.iter + 1} the numbers in {part} are not finite '
                    f'({names}), so no checkpoint was written: {ADVICE}.')

    def _new_non_finite(self, state: Any) -> str:
        """Names of what is not finite now and was at the start, shortened; empty if nothing is."""
        names = [name for name in _non_finite(state) if name not in self._known]
        more = f' and {len(names) - NAMES_SHOWN} more' if len(names) > NAMES_SHOWN else ''
        return ', '.join(names[:NAMES_SHOWN]) + more


def _describe(losses: dict | None, batch: Any) -> str:
    """The losses of this process that are not finite, and its images; empty if all are finite."""
    values = {name: float(torch.as_tensor(value).detach())
              for name, value in (losses or {}).items() if 'loss' in name}
    bad = [f'{name} is {value}' for name, value in values.items() if not math.isfinite(value)]
    if not bad:
        return ''
    samples = batch.get('data_samples', ()) if isinstance(batch, dict) else ()
    files = [str(sample.img_path) for sample in samples if 'img_path' in sample]
    return f'{", ".join(bad)}; images: {", ".join(files) or "without img_path"}'


def _non_finite(state: Any) -> Iterator[str]:
    """Names of the tensors in a nested state that hold NaN or infinity."""
    for name, _, value in walk(state):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            if not torch.isfinite(value).all():
                yield name.removeprefix('module.')  # of several processes, or of a moving average
