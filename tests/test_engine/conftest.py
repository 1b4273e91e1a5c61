"""Trains a tiny network as ``tools/train.py`` does, in this process."""
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.runner import Runner
from mmseg.registry import RUNNERS

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
def launch(repo) -> Callable[..., None]:
    """A function that runs a program of ``tools/`` to its end, in a process of its own."""
    folders = os.pathsep.join([str(repo), str(repo / 'tests' / 'test_engine')])

    def run(tool: str, *arguments: object) -> None:
        with socket.socket() as server:
            server.bind(('127.0.0.1', 0))
            port = str(server.getsockname()[1])
        interpreter = 'bash' if tool.endswith('.sh') else sys.executable
        done = subprocess.run(
            [interpreter, str(repo / 'tools' / tool), *map(str, arguments)],
            env=dict(os.environ, PYTHONPATH=folders, PYTHON=sys.executable, OMP_NUM_THREADS='1',
                     PORT=port),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-4000:]

    return run
