"""Trains a tiny network as ``tools/train.py`` does, in this process."""
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.runner import Runner
from mmseg.registry import RUNNERS
from programs import Program, ranks

from mmseg_instbox.engine import adapt_to_cpu, load_config
from mmseg_instbox.engine.training import set_resume

sys.path.insert(0, str(Path(__file__).parent))  # makes recorded_runs importable

RECORDED = """
custom_imports = dict(imports=['mmseg_instbox', 'recorded_runs'])
custom_hooks = [dict(type='LossRecorder')]
"""


@pytest.fixture(scope='session')
def make_config(tiny_config, tmp_path_factory) -> Callable[..., Path]:
    """A function that writes a config: lines that inherit another, or ``tiny_config`` recorded."""

    def make(lines: str, base: Path | None = None) -> Path:
        file = tmp_path_factory.mktemp('config') / 'child.py'
        head = f"_base_ = '{base or tiny_config}'\n"
        file.write_text(head + ('' if base else RECORDED) + lines + '\n')
        return file

    return make


@pytest.fixture(scope='session')
def train() -> Callable[..., Runner]:
    """A function that trains with a config, its work directory, options and a checkpoint."""

    def run(config: Path, work_dir: Path, options: dict | None = None,
            resume: Path | None = None) -> Runner:
        cfg = load_config(str(config), options)
        cfg.work_dir, cfg.experiment_name = str(work_dir), work_dir.name
        cfg.log_level = (options or {}).get('log_level', 'ERROR')
        set_resume(cfg, None if resume is None else str(resume))
        adapt_to_cpu(cfg)
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run


@pytest.fixture(scope='session')
def launch(repo, tmp_path_factory) -> Callable[..., str]:
    """A function that runs a program of ``tools/`` to its end and returns what it prints.

    It runs in that many ``processes`` of their own, which find each other.
    """

    def run(tool: str, *arguments: object, processes: int = 1) -> str:
        output = tmp_path_factory.mktemp('output')
        places = ranks(processes) if processes > 1 else [{}]
        programs = [Program(repo / 'tools' / tool, output / str(number), *arguments, **variables)
                    for number, variables in enumerate(places)]
        try:
            return [program.succeeds() for program in programs][0]
        finally:
            for program in programs:
                program.stop()

    return run
