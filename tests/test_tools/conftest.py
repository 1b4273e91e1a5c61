"""Runs the tools: as a user does, in a process of their own, or in this one, which is faster."""
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mmengine.logging import MMLogger

from mmseg_instbox.cli.main import cli


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


@pytest.fixture
def instbox(tmp_path) -> Callable[..., Result]:
    """A function that runs a command as its script in ``tools/`` does, but in this process.

    ``options`` are settings of the config; the run is quiet, with a log of its own.
    """
    MMLogger.get_current_instance()  # its handler shall outlive the streams of a single command

    def run(command: str, *arguments: object, options: tuple[str, ...] = ()) -> Result:
        apart = ['log_level=ERROR', f'experiment_name={tmp_path.name}',
                 f'visualizer.name={tmp_path.name}']
        words = [command, *map(str, arguments), '--cfg-options', *apart, *options]
        return CliRunner().invoke(cli, words, obj=True)

    return run


@pytest.fixture(scope='session')
def trained(run_tool, tiny_config, tmp_path_factory) -> Path:
    """The work directory of a run of two iterations."""
    work_dir = tmp_path_factory.mktemp('trained')
    done = run_tool('train.py', tiny_config, '--work-dir', work_dir)
    assert done.returncode == 0, done.stdout[-4000:]
    return work_dir
