"""Training loops."""
from time import monotonic

import torch
from mmengine.dist import broadcast
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import LOOPS
from torch.utils.data import DataLoader

from ..errors import InvalidInputError

FINAL_VALIDATIONS = 2  # that the budget leaves time for: the last one, and the report's
LONGEST_SHARE = 0.2  # of the time that validations may take, and that is left for the final ones
LAST_PROGRESS = 0.999  # at which the learning rates are not 0 yet


@LOOPS.register_module()
class BudgetTrainLoop(IterBasedTrainLoop):
    """Trains for a number of minutes: learning rates, validations and the end follow the clock.

    Extends :class:`mmengine.runner.IterBasedTrainLoop`. The learning rates of the optimizer are
    multiplied by ``min(1, p / warmup) * (1 - p) ** power``, where the progress ``p`` is the share
    that has passed of the minutes or of ``max_iters``, whichever is larger (the first factor counts
    it from the first iteration). So a config needs neither a ``param_scheduler`` nor the time that
    an iteration takes. The model is validated before the first iteration, then ``validations``
    times at equal distances, or less often where that would take more than a fifth of the time, not
    shortly before the end, and after the last iteration. A resumed run goes on with the time that
    it had left. Of several processes, all follow the clock of the first.

    Args:
        max_iters: Iterations at most.
        minutes: Time for training and validation, one validation after the training included;
            None trains for ``max_iters``, and then repeats exactly.
        validations: Number of validations.
        warmup: Progress up to which the learning rates rise.
        power: Exponent of their decay.

    Raises:
        ValueError: ``minutes`` is not positive.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, max_iters: int,
                 minutes: float | None = None, validations: int = 15, warmup: float = 0.03,
                 power: float = 0.9) -> None:
        if minutes is not None and minutes <= 0:
            raise InvalidInputError(f'BudgetTrainLoop got minutes={minutes}, expected a positive '
                                    'number, or None for max_iters alone.')
        super().__init__(runner, dataloader, max_iters)
        self.minutes = minutes
        self.validations = validations
        self.warmup = warmup
        self.power = power
        self._seconds = 0.  # that the last validation took
        self._validated = 0.  # progress at the last one
        self._began = 0.  # progress at the first iteration

    @property
    def progress(self) -> float:
        """How much of the training is done, 0 to 1."""
        done = self._iter / self._max_iters
        if self.minutes is None:
            return done
        seconds = 60 * self.minutes
        seconds -= min(FINAL_VALIDATIONS * self._seconds, LONGEST_SHARE * seconds)
        return min(1., max(done, self._elapsed / seconds))

    def _read_clock(self) -> float:
        """Read the seconds since the start; processes that differed would wait for each other."""
        elapsed = torch.tensor(monotonic() - self._start, dtype=torch.float64)
        broadcast(elapsed)
        self._elapsed = elapsed.item()
        return self._elapsed

    def run(self) -> None:
        """Train."""
        self._start = monotonic() - self.runner.message_hub.get_info('trained_seconds', 0.)
        for group in self.runner.optim_wrapper.param_groups:
            group.setdefault('initial_lr', group['lr'])
        self._read_clock()
        self._validated = self.progress
        super().run()

    def run_iter(self, data_batch: dict) -> None:
        """Train with a batch; the first one is preceded by a validation."""
        if self._iter == 0 and self.runner.val_loop is not None:
            self._validate()
            self._began = self._validated
            self.runner.model.train()
        progress = self.progress
        if progress >= 1:
            self._max_iters = self._iter + 1
        progress = min(progress, LAST_PROGRESS)
        begun = progress - self._began + 1 / self._max_iters
        factor = (1 - progress)**self.power * min(1., begun / self.warmup if self.warmup else 1.)
        for group in self.runner.optim_wrapper.param_groups:
            group['lr'] = group['initial_lr'] * factor
        super().run_iter(data_batch)
        self.runner.message_hub.update_info('trained_seconds', self._read_clock())

    def _decide_current_val_interval(self) -> None:
        """Validate now if it is time; the parent would at equal numbers of iterations."""
        self.val_interval = self._max_iters + 1
        if self._iter < self._max_iters and self.runner.val_loop is not None:
            seconds = 60 * self.minutes if self.minutes else float('inf')
            distance = max(1 / self.validations, self._seconds / LONGEST_SHARE / seconds)
            progress = self.progress
            # not shortly before the last one
            if progress - self._validated >= distance and 1 - progress > distance / 3:
                self._validate()

    def _validate(self) -> None:
        start = self._read_clock()
        self.runner.val_loop.run()
        self._seconds = self._read_clock() - start
        self._validated = self.progress
