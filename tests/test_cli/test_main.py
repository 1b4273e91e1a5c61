"""The group of commands: its help, errors and exit codes."""
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from mmseg_instbox.cli import models, train
from mmseg_instbox.cli.main import COMMANDS, cli
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.version import __version__

# the command without what the package's own __init__ imports
LIGHT = """
import sys, types
package = types.ModuleType('mmseg_instbox')
package.__path__ = [{package!r}]
sys.modules['mmseg_instbox'] = package
from mmseg_instbox.cli.main import cli
for command in ([], {commands}):
    for name in command or ['']:
        cli([name, '--help'] if name else ['--help'], standalone_mode=False)
cli(['models', 'shapes'], standalone_mode=False)
import mmseg_instbox.cli.models as models
models.ProcessPoolExecutor = type('Pool', (), dict(
    __init__=lambda *_, **__: None, __enter__=lambda self: self, __exit__=lambda *_: None,
    submit=lambda self, *_: self,
    result=lambda self: dict(config='a', parameters=1, flops=1, memory=1, box_head=None)))
cli(['info', 'config.py'], standalone_mode=False)
heavy = {{'torch', 'numpy', 'cv2', 'mmengine', 'mmseg', 'gradio'}} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_help_names_each_command_and_the_exit_codes(succeed):
    text = succeed('--help').output
    assert all(f'\n  {name} ' in text for name in COMMANDS)
    assert 'Exit codes: 0' in text
    assert '...' not in text.partition('Commands:')[2]  # no sentence is cut off


@pytest.mark.parametrize('name', COMMANDS)
def test_each_command_has_examples_and_shows_defaults(succeed, name):
    text = succeed(name, '--help').output
    examples = text.partition('Examples:\n')[2].partition('Options:')[0]
    assert f'instbox {name}' in examples
    assert max(map(len, text.splitlines())) <= 100


def test_each_example_is_a_command_line_that_parses():
    for name in COMMANDS:
        command = cli.get_command(None, name)
        lines = [line.strip() for line in command.help.splitlines()
                 if line.strip().startswith(f'instbox {name}')]
        assert lines
        for line in lines:
            words = line.split('   ')[0].replace("'", '').split()[2:]
            command.make_context(name, words, resilient_parsing=False)


def test_help_the_list_of_models_and_the_parent_of_info_import_nothing_heavy(repo):
    code = LIGHT.format(package=str(repo / 'mmseg_instbox'), commands=COMMANDS)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(repo)))
    assert done.returncode == 0, done.stderr


def test_the_version(succeed):
    assert succeed('--version').output == f'instbox, version {__version__}\n'


def test_a_wrong_command_line_is_told_from_a_failure(fails):
    assert 'No such command' in fails('predikt', exit_code=2)
    assert 'Missing argument' in fails('train', exit_code=2)
    assert 'No such option' in fails('train', 'a.py', '--workdir', 'x', exit_code=2)
    assert "'batch' is not of the form KEY=VALUE" in fails(
        'train', 'a.py', '--cfg-options', 'batch', exit_code=2)


def raising(error):
    """A command of a test: it raises ``error``."""

    @click.command()
    def command():
        raise error

    return command


@pytest.mark.parametrize('error, sentence', [
    (InvalidInputError('a is\n  wrong.'), 'Error: a is wrong.'),
    (ValueError('depths'), 'Error: unexpected ValueError: depths (instbox --traceback COMMAND ... '
                           'shows where it happened)'),
    (FileNotFoundError(2, 'No such file or directory', 'x.pth'),
     'Error: x.pth: No such file or directory.'),
    (RuntimeError('odd'), 'Error: unexpected RuntimeError: odd (instbox --traceback COMMAND ... '
                          'shows where it happened)'),
])
def test_an_exception_becomes_a_sentence(fails, instbox, monkeypatch, error, sentence):
    monkeypatch.setattr(models, 'models', raising(error))
    assert fails('models') == sentence
    shown = instbox('--traceback', 'models')
    assert shown.exit_code == 1 and shown.exception is error
    assert CliRunner().invoke(cli, ['models'], env=dict(INSTBOX_DEBUG='1')).exception is error
    script = CliRunner().invoke(cli, ['models'], obj=True)  # as main('models') of a tool does
    bug = not isinstance(error, InvalidInputError | OSError)
    assert (script.exception is error) == bug and script.exit_code == 1


def test_ctrl_c_ends_with_a_sentence(fails, monkeypatch):
    monkeypatch.setattr(models, 'models', raising(KeyboardInterrupt()))
    assert fails('models', exit_code=130) == 'Stopped.'


def test_a_stopped_training_says_how_to_go_on(fails, monkeypatch, tiny_config, tmp_path):
    def stop(cfg):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmseg_instbox.engine.run_training', stop)
    arguments = ['train', tiny_config, '--work-dir', tmp_path]
    assert fails(*arguments, exit_code=130) == 'Stopped. There is no checkpoint to resume from yet.'
    (tmp_path / 'last_checkpoint').touch()
    assert fails(*arguments, exit_code=130) == (
        'Stopped. To resume from the last checkpoint: '
        f'instbox train {tiny_config} --work-dir {tmp_path} --resume')
    assert train.train.name == 'train'
