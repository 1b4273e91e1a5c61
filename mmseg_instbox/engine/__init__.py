"""What the tools share: run settings from the command line, and training on a CPU."""
from .command_line import build_runner, run_parser
from .cpu_amp_optim_wrapper import CPUAmpOptimWrapper
from .run_config import (
    adapt_to_cpu,
    check_checkpoint,
    draw_pictures,
    load_config,
    set_resume,
    set_work_dir,
    use_amp,
)

__all__ = [
    'CPUAmpOptimWrapper', 'adapt_to_cpu', 'build_runner', 'check_checkpoint', 'draw_pictures',
    'load_config', 'run_parser', 'set_resume', 'set_work_dir', 'use_amp'
]
