"""What the tools share: run settings, training on a CPU, and runs that can be resumed."""
from .checkpoint_file import check_weights, write_plain_checkpoints
from .command_line import (
    check_out_file,
    dump_parser,
    prepare_process,
    quiet_and_single,
    run_parser,
    user_errors,
)
from .cpu_amp_optim_wrapper import CPUAmpOptimWrapper
from .durable_backend import DurableBackend
from .durable_checkpoint_hook import DurableCheckpointHook
from .find_config import find_config, near_files
from .last_checkpoint import last_checkpoint
from .loader_watch_hook import LoaderWatchHook
from .loss_guard_hook import LossGuardHook
from .pixel_box_visualization_hook import PixelBoxVisualizationHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .resumable_seed_hook import ResumableSeedHook
from .run_building import (
    check_architecture,
    start_runner,
    testing_config,
    training_config,
    write_metrics,
)
from .run_config import (
    adapt_to_cpu,
    check_checkpoint,
    draw_pictures,
    dump_boxes,
    load_config,
    set_resume,
    set_work_dir,
    use_amp,
)
from .seeded_default_sampler import SeededDefaultSampler
from .seeded_infinite_sampler import SeededInfiniteSampler
from .training import check_work_dir, run_training
from .tta import augmented_pipeline, use_tta

__all__ = [
    'CPUAmpOptimWrapper', 'DurableBackend', 'DurableCheckpointHook', 'LoaderWatchHook',
    'LossGuardHook', 'PixelBoxVisualizationHook', 'PlainCheckpointHook', 'ResumableSeedHook',
    'SeededDefaultSampler', 'SeededInfiniteSampler', 'adapt_to_cpu', 'augmented_pipeline',
    'check_architecture', 'check_checkpoint', 'check_out_file', 'check_weights', 'check_work_dir',
    'draw_pictures', 'dump_boxes', 'dump_parser', 'find_config', 'last_checkpoint', 'load_config',
    'near_files', 'prepare_process', 'quiet_and_single', 'run_parser', 'run_training', 'set_resume',
    'set_work_dir', 'start_runner', 'testing_config', 'training_config', 'use_amp', 'use_tta',
    'user_errors', 'write_metrics', 'write_plain_checkpoints'
]
