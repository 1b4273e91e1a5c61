"""Runs the tools: as a user does, in a process of their own, or in this one, which is faster."""
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner, Result
from mmengine.logging import MMLogger
from programs import settings_apart

from mmseg_instbox.cli.main import cli


@pytest.fixture(scope='session')
def run_tool(repo, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """A function that runs a program of ``tools/`` and gives its exit code and output back."""
    environment = dict(os.environ, PYTHONPATH=str(repo), OMP_NUM_THREADS='1')
    cwd = tmp_path_factory.mktemp('cwd')

    def run(tool: str, *arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, repo / 'tools' / tool, *map(str, arguments)],
            cwd=cwd,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300)

    return run


@pytest.fixture(scope='session')
def run_main(repo) -> Callable[..., str]:
    """A function that runs one of ``tools/`` in this process and gives its output back."""

    def run(tool: str, *arguments: object) -> str:
        file = repo / 'tools' / tool
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
            patch.setattr('sys.argv', [file.name, *map(str, arguments)])
            runpy.run_path(str(file), run_name='__main__')
        return printed.getvalue()

    return run


@pytest.fixture(scope='session')
def load_tool(repo) -> Callable[[str], ModuleType]:
    """A function that imports one of ``tools/`` as a module."""

    def load(tool: str) -> ModuleType:
        spec = spec_from_file_location(Path(tool).stem, repo / 'tools' / tool)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def benchmarks(repo, monkeypatch) -> Iterator[Path]:
    """The folder of the benchmarks, from which a test can import; they set the threads of torch."""
    folder, threads = repo / 'tools' / 'benchmarks', torch.get_num_threads()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    torch.set_num_threads(threads)


def invoke(folder: Path, command: str, *arguments: object, options: tuple[str, ...] = ()) -> Result:
    """Runs a command as its script in ``tools/`` does, but in this process.

    ``options`` are settings of the config; the run is quiet, with a log of its own.
    """
    MMLogger.get_current_instance()  # its handler shall outlive the streams of a single command
    words = [command, *map(str, arguments), '--cfg-options', *settings_apart(folder), *options]
    return CliRunner().invoke(cli, words, obj=True)


@pytest.fixture
def instbox(tmp_path) -> Callable[..., Result]:
    """:func:`invoke` for a test."""
    return partial(invoke, tmp_path)


@pytest.fixture(scope='session')
def trained(tiny_config, tmp_path_factory) -> Path:
    """The work directory of a run of two iterations."""
    work_dir = tmp_path_factory.mktemp('trained')
    done = invoke(work_dir, 'train', tiny_config, '--work-dir', work_dir)
    assert done.exit_code == 0, done.output[-4000:]
    return work_dir
