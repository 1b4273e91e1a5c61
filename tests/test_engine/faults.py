"""What goes wrong in a run: transforms and hooks that a test's config names."""
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmseg.registry import HOOKS, TRANSFORMS

FAULTS = """
custom_imports = dict(imports=['mmseg_instbox', 'recorded_runs', 'faults'])
"""


@TRANSFORMS.register_module()
class SpoilImage(BaseTransform):
    """Puts ``value`` into the pixels of the images whose name without suffix is in ``names``."""

    def __init__(self, names, value='nan'):
        self.names, self.value = names, float(value)

    def transform(self, results):
        if Path(results['img_path']).stem in self.names:
            results['img'] = np.full(results['img'].shape, self.value, np.float32)
        return results


@TRANSFORMS.register_module()
class FaultyWorker(BaseTransform):
    """Once the file ``flag`` is there, a worker that loads an image writes its number into it and
    hangs or is killed by ``SIGKILL``."""

    def __init__(self, flag, what):
        self.flag, self.what = Path(flag), what

    def transform(self, results):
        if self.flag.exists() and torch.utils.data.get_worker_info() is not None:
            if self.what == 'hangs':
                time.sleep(1000)
            os.kill(os.getpid(), signal.SIGKILL)
        return results


@HOOKS.register_module()
class SpoilWeights(Hook):
    """Makes a weight infinite after an update."""

    def __init__(self, after):
        self.after = after

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after:
            weight = next(iter(runner.model.parameters())).data
            weight[(0, ) * weight.dim()] = float('inf')


@HOOKS.register_module()
class Touch(Hook):
    """Writes the file ``flag`` after an iteration: the test, or another part, waits for it."""

    def __init__(self, flag, after):
        self.flag, self.after = Path(flag), after

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after:
            self.flag.with_name(f'{self.flag.name}_{get_rank()}').write_text(str(os.getpid()))
            self.flag.touch()


@HOOKS.register_module()
class HidesErrors(Hook):
    """Kills a worker in the midst of code that makes a SyntaxError of every error."""

    def __init__(self, after):
        self.after = after

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after:
            try:
                multiprocessing.active_children()[0].kill()
                time.sleep(60)
            except BaseException:
                raise SyntaxError('check the syntax')  # noqa: B904 as yapf does
