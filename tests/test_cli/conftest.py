"""Runs the command ``instbox`` in this process, and trains a tiny model with it."""
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mmengine.logging import MMLogger
from programs import settings_apart

from mmseg_instbox.cli.main import cli


@pytest.fixture(scope='session')
def instbox() -> Callable[..., Result]:
    """A function that runs ``instbox`` with arguments."""
    MMLogger.get_current_instance()  # its handler shall outlive the streams of a single command

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(each) for each in arguments], prog_name='instbox')

    return run


@pytest.fixture(scope='session')
def succeed(instbox) -> Callable[..., Result]:
    """As ``instbox``; the command must end well."""

    def run(*arguments: object) -> Result:
        result = instbox(*arguments)
        assert result.exit_code == 0, result.output[-4000:]
        return result

    return run


@pytest.fixture
def apart(tmp_path) -> list[str]:
    """:func:`settings_apart` of a test, as the last arguments of its command."""
    return ['--cfg-options', *settings_apart(tmp_path)]


@pytest.fixture(scope='session')
def trained(succeed, tiny_config, tmp_path_factory) -> Path:
    """The work directory of a run of 16 iterations."""
    work_dir = tmp_path_factory.mktemp('trained')
    succeed('train', tiny_config, '--work-dir', work_dir, '--cfg-options', 'train_cfg.max_iters=16',
            'train_cfg.val_interval=16', 'randomness.seed=0', *settings_apart(work_dir))
    return work_dir


@pytest.fixture(scope='session')
def checkpoint(trained) -> Path:
    """The checkpoint of that run, which carries its config."""
    return trained / 'best_APr_0.5_iter_16.pth'


@pytest.fixture
def fails(instbox) -> Callable[..., str]:
    """A function that runs a command that must fail with one sentence; gives the sentence."""

    def run(*arguments: object, exit_code: int = 1) -> str:
        result = instbox(*arguments)
        assert result.exit_code == exit_code, result.output[-4000:]
        assert 'Traceback' not in result.output
        *_, last = result.stderr.splitlines()
        return last

    return run
