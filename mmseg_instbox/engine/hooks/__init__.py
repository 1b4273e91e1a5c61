"""Hooks of a training: checkpoints, losses, seeds and pictures."""
from .durable_checkpoint_hook import DurableBackend, DurableCheckpointHook
from .loss_guard_hook import LossGuardHook
from .pixel_box_visualization_hook import PixelBoxVisualizationHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .resumable_seed_hook import ResumableSeedHook

__all__ = [
    'DurableBackend', 'DurableCheckpointHook', 'LossGuardHook', 'PixelBoxVisualizationHook',
    'PlainCheckpointHook', 'ResumableSeedHook'
]
