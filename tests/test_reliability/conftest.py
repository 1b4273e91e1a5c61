"""What the tests that break a running training share."""
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'test_engine')]  # reliability_runs; faults

from programs import Program  # noqa: E402
from reliability_runs import config_text  # noqa: E402


@pytest.fixture
def make_config(tiny_config, tmp_path) -> Callable[..., Path]:
    """A function that writes a config: iterations, loader workers, transforms, more lines."""

    def make(iters: int = 6, workers: int = 0, transforms: tuple = (), lines: str = '') -> Path:
        file = tmp_path / 'tiny_reliability.py'
        file.write_text(config_text(tiny_config, iters, workers, list(transforms)) + lines)
        return file

    return make


@pytest.fixture
def start(repo, tmp_path) -> Iterator[Callable[..., Program]]:
    """A function that starts a program of ``tools/``; what is left of it is killed at the end."""
    started, numbers = [], itertools.count()

    def run(tool: str, *arguments: object, **variables: str) -> Program:
        output = tmp_path / f'output_{next(numbers)}.txt'
        started.append(Program(repo / 'tools' / tool, output, *arguments, **variables))
        return started[-1]

    yield run
    for program in started:
        program.stop()
