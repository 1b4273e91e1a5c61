"""Lines of a config, a hook that writes down what a run saw, and what reads it back."""
import json
from pathlib import Path

import torch
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook
from mmseg.registry import HOOKS
from programs import quicken

quicken()  # for processes that torchrun starts, whose configs import this module

# Statistics of batch normalization are frozen, the heads have none: nothing mixes the images of a
# batch. All else is as in a run, random transforms included.
FROZEN = """
norm = dict(type='GN', num_groups=4)
model = dict(
    backbone=dict(norm_eval=True),
    decode_head=dict(norm_cfg=dict(_delete_=True, **norm)),
    box_head=dict(norm_cfg=dict(_delete_=True, **norm)))
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(ann_file='', pipeline=[
        dict(type='LoadInstImage'),
        dict(type='LoadInstAnnotations'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackInstInputs')]))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9, weight_decay=0.))
param_scheduler = None
train_cfg = dict(max_iters=6, val_interval=6)
default_hooks = dict(checkpoint=dict(interval=6, save_best=None))
randomness = dict(seed=0)
"""


@HOOKS.register_module()
class LossRecorder(Hook):
    """Writes ``losses_RANK.json`` into the work directory: each iteration's images and losses.

    The figures of the last validation go to ``figures.json``.
    """

    def before_train(self, runner):
        self.lines = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        images = [Path(sample.img_path).stem for sample in data_batch['data_samples']]
        losses = {key: float(value.detach()) for key, value in outputs.items()}
        self.lines.append(dict(iter=runner.iter + 1, images=images, **losses))

    def after_val_epoch(self, runner, metrics=None):
        if is_main_process():
            (Path(runner.work_dir) / 'figures.json').write_text(json.dumps(metrics))

    def after_train(self, runner):
        path = Path(runner.work_dir) / f'losses_{get_rank()}.json'
        path.write_text(json.dumps(self.lines))


def recorded_losses(work_dir: Path, rank: int = 0) -> list[dict]:
    """What :class:`LossRecorder` wrote: ``iter``, ``images``, and the losses by name."""
    return json.loads((work_dir / f'losses_{rank}.json').read_text())


def load(checkpoint: Path) -> dict:
    """A checkpoint of a test's own run, as anybody may read it."""
    return torch.load(checkpoint, map_location='cpu', weights_only=True)
