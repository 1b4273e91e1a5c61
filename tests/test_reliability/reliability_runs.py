"""Configs of trainings to which something happens, and what they leave."""
import json
import os
from pathlib import Path

import torch

LINES = """
_base_ = '{base}'
custom_imports = dict(imports=['mmseg_instbox', 'recorded_runs', 'faults'])
train_dataloader = dict(
    num_workers={workers},
    persistent_workers={workers} > 0,
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(pipeline=[
        dict(type='LoadInstImage'),
        dict(type='LoadInstAnnotations'),
        *{transforms},
        dict(type='PackInstInputs')]))
val_dataloader = val_cfg = val_evaluator = None
train_cfg = dict(max_iters={iters}, val_interval={iters})
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None))
randomness = dict(seed=0)
"""


def config_text(base: Path, iters: int, workers: int, transforms: list[dict]) -> str:
    """A config without validation that writes a checkpoint each iteration."""
    return LINES.format(base=base, iters=iters, workers=workers, transforms=json.dumps(transforms))


def iteration(work_dir: Path) -> int:
    """The iteration of the newest checkpoint in a work directory, which must be whole."""
    file = max(work_dir.glob('iter_*.pth'), key=os.path.getmtime)
    checkpoint = torch.load(file, map_location='cpu', weights_only=True)
    assert checkpoint['state_dict'] and checkpoint['optimizer']
    return checkpoint['meta']['iter']
