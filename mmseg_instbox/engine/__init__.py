"""What the tools share: run settings, training on a CPU, and runs that can be resumed."""
from .command_line import (
    build_runner,
    check_out_file,
    dump_parser,
    quiet_and_single,
    run_parser,
    user_errors,
)
from .cpu_amp_optim_wrapper import CPUAmpOptimWrapper
from .resumable_seed_hook import ResumableSeedHook
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
from .tta import augmented_pipeline, use_tta

__all__ = [
    'CPUAmpOptimWrapper', 'ResumableSeedHook', 'SeededDefaultSampler', 'SeededInfiniteSampler',
    'adapt_to_cpu', 'augmented_pipeline', 'build_runner', 'check_checkpoint', 'check_out_file',
    'draw_pictures', 'dump_boxes', 'dump_parser', 'load_config', 'quiet_and_single',
    'run_parser', 'set_resume', 'set_work_dir', 'use_amp', 'use_tta', 'user_errors'
]
