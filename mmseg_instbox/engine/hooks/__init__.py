"""Hooks of a training: checkpoints, losses, seeds, drawings and progress."""
from .durable_checkpoint_hook import DurableBackend, DurableCheckpointHook
from .loss_guard_hook import LossGuardHook
from .pixel_box_visualization_hook import PixelBoxVisualizationHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .progress_line_hook import ProgressLineHook
from .resumable_seed_hook import ResumableSeedHook
