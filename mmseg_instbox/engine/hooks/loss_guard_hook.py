import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import BaseOptimWrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...errors import InvalidInputError, TrainingError
from ...utils import walk

COUNT = 'non_finite_losses'  # in the message hub, so that a resumed run goes on counting
NAMES_SHOWN = 3


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Skips and logs batches whose loss is NaN or infinite; aborts after ``tolerated`` of them.

    In such an iteration there is no backward pass and no update: weights, optimizer and running
    statistics (batch normalization) stay as they were before it, on all processes, whichever of
    them had the loss. With gradient accumulation, what the window has gathered so far is dropped,
    too. Iterations and learning rates are counted on, and ``EMAHook`` takes its step towards the
    same weights. Mixed precision's own skipped steps, where the loss is finite and its scaled
    gradients overflow, are not counted. The images of the batch are logged::

        default_hooks = dict(loss_guard=dict(type='LossGuardHook', tolerated=10))

    No checkpoint is written whose weights or optimizer state hold a NaN or infinite number that was
    not there at the start. So the last checkpoint is always one to go on from.

    Args:
        tolerated: How many such iterations a run may have, those before it was resumed included.

    Raises:
        ValueError: ``tolerated`` is negative.
    """

    priority = 'VERY_HIGH'

    def __init__(self, tolerated: int = 10) -> None:
        if tolerated < 0:
            raise InvalidInputError(f'LossGuardHook: tolerated is {tolerated}; give 0, for none, '
                                    'or more.')
        self.tolerated = tolerated
        self._left_out = False

    def before_train(self, runner: Runner) -> None:
        """Stand between the loss and the update.

        Raises:
            ValueError: The run has several optimizers, which the model steps by itself.
        """
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, BaseOptimWrapper):
            raise InvalidInputError(f'LossGuardHook cannot watch a {type(wrapper).__name__}: take '
                                    'loss_guard out of default_hooks.')
        self._known = set(_non_finite(runner.model.state_dict()))
        self._buffers = list(runner.model.buffers())
        self._kept = [buffer.clone() for buffer in self._buffers]
        for module in runner.model.modules():
            if hasattr(module, 'guarded'):  # PixelBoxHead: a loss of NaN instead of an error
                module.guarded = True
        update = type(wrapper).update_params

        def guarded(loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            self._left_out = not _finite_everywhere(loss)
            if self._left_out:
                self._leave_out(wrapper)
            else:
                update(wrapper, loss, *args, **kwargs)

        wrapper.update_params = guarded

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Keep the running statistics as they are."""
        for kept, buffer in zip(self._kept, self._buffers, strict=True):
            kept.copy_(buffer)

    def _leave_out(self, wrapper: BaseOptimWrapper) -> None:
        """Undo the forward pass, and count the iteration as a backward pass does."""
        for kept, buffer in zip(self._kept, self._buffers, strict=True):
            buffer.copy_(kept)
        wrapper.zero_grad()
        if hasattr(wrapper, '_inner_count'):  # DeepSpeed's engine counts by itself
            wrapper._inner_count += 1

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Name the losses and the images of an iteration that was left out.

        Raises:
            TrainingError: There were more than are tolerated, or the weights are not finite.
        """
        if not self._left_out:
            return
        self._left_out = False
        iteration, hub = runner.iter + 1, runner.message_hub
        count = 1 + (hub.get_info(COUNT) if COUNT in hub.runtime_info else 0)
        hub.update_info(COUNT, count)
        found = '; '.join(filter(None, all_gather_object(_account(outputs, data_batch))))
        if is_main_process():
            print_log(f'Iteration {iteration}: the loss is not finite, so it changes nothing '
                      f'({count} of {self.tolerated} such iterations that are tolerated). {found}',
                      'current', logging.WARNING)
        if names := self._news(runner.model.state_dict()):
            raise TrainingError(f'The weights are not finite before iteration {iteration} '
                                f'({names}): an earlier update made them so. Lower the learning '
                                'rate or clip gradients (optim_wrapper.clip_grad).')
        if count > self.tolerated:
            raise TrainingError(
                f'The loss was not finite in {count} iterations, and {self.tolerated} are '
                f'tolerated. In iteration {iteration}: {found}. These iterations changed no '
                'weights. Look at these images and their masks, lower the learning rate, clip '
                'gradients (optim_wrapper.clip_grad), or set default_hooks.loss_guard.tolerated.')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to write weights that are of no use.

        Raises:
            TrainingError: They, or the optimizer's state, hold a number that is not finite.
        """
        parts = ('state_dict', 'ema_state_dict', 'optimizer')
        for part in parts:
            if names := self._news(checkpoint.get(part)):
                raise TrainingError(
                    f'After iteration {runner.iter + 1} the numbers in {part} are not finite '
                    f'({names}), so no checkpoint was written: lower the learning rate or clip '
                    'gradients (optim_wrapper.clip_grad).')

    def _news(self, state: Any) -> str:
        """What is not finite now and was at the start, shortened; empty if nothing is."""
        known = getattr(self, '_known', ())
        names = [name for name in _non_finite(state) if name not in known]
        more = f' and {len(names) - NAMES_SHOWN} more' if len(names) > NAMES_SHOWN else ''
        return ', '.join(names[:NAMES_SHOWN]) + more


def _finite_everywhere(loss: torch.Tensor) -> bool:
    """Whether the loss of each process is finite; all processes get the same answer."""
    bad = (~torch.isfinite(loss.detach()).all()).float()
    all_reduce(bad, op='max')
    return not bad.item()


def _account(losses: dict | None, batch: Any) -> str:
    """The losses of this process that are not finite, and its images; empty if all are finite."""
    values = {name: float(torch.as_tensor(value).detach())
              for name, value in (losses or {}).items() if 'loss' in name}
    bad = [f'{name} is {value}' for name, value in values.items() if not math.isfinite(value)]
    if not bad:
        return ''
    samples = batch.get('data_samples', ()) if isinstance(batch, dict) else ()
    files = [str(Path(sample.img_path)) for sample in samples if 'img_path' in sample]
    return f'{", ".join(bad)}; images: {", ".join(files) or "without img_path"}'


def _non_finite(state: Any) -> Iterator[str]:
    """Names of the tensors in a nested state that hold NaN or infinity."""
    for name, _, value in walk(state):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            if not torch.isfinite(value).all():
                yield name.removeprefix('module.')  # of several processes, or of a moving average
