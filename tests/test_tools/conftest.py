"""Runs the tools: as a user does, in a process of their own, or in this one, which is faster."""
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def run_tool(repo, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """A function that runs one of ``tools/`` and gives its exit code and output back."""
    environment = dict(os.environ, PYTHONPATH=str(repo), PYTHON=sys.executable, OMP_NUM_THREADS='1')
    cwd = tmp_path_factory.mktemp('cwd')

    def run(tool: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess:
        interpreter = ['bash'] if tool.endswith('.sh') else [sys.executable]
        command = [*interpreter, repo / 'tools' / tool, *arguments]
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment | variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300)

    return run


@pytest.fixture
def run_main(repo, monkeypatch, capsys) -> Callable[..., str]:
    """A function that runs one of ``tools/`` in this process and gives its output back."""

    def run(tool: str, *arguments: object) -> str:
        file = repo / 'tools' / tool
        monkeypatch.setattr('sys.argv', [file.name, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(file), run_name='__main__')
        return capsys.readouterr().out

    return run


@pytest.fixture(scope='session')
def trained(run_tool, tiny_config, tmp_path_factory) -> Path:
    """The work directory of a run of two iterations."""
    work_dir = tmp_path_factory.mktemp('trained')
    done = run_tool('train.py', tiny_config, '--work-dir', work_dir)
    assert done.returncode == 0, done.stdout[-4000:]
    return work_dir
