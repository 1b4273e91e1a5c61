"""The command ``instbox``: subcommands are loaded on first use and report errors in one line."""
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from ..errors import InstBoxError
from ..utils import distributed_exit
from ..version import __version__

# command -> the module of this package with the function of its name, in the order of the help
COMMANDS = dict(
    predict='predict', convert='data', check='data', train='train', test='train',
    browse='train', export='models', info='models', models='models', serve='serve')
USER_ERRORS = (InstBoxError, OSError)
INTERRUPTED = 130  # exit code that shells report of a program that Ctrl-C ended


class Interrupted(click.ClickException):
    """The user stopped a command with Ctrl-C; the message states the progress and how to resume."""
    exit_code = INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Writes the message to ``file``, by default to the standard error stream."""
        click.echo(f'\nStopped. {self.message}'.rstrip(), file=file, err=True)


class LazyGroup(click.Group):
    """Imports the module of a command when it is used, and reports its exceptions in one line.

    The option ``traceback`` lets all exceptions pass, an ``obj`` of the context that is true lets
    those pass that are bugs.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command by its name; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f'.{COMMANDS[cmd_name]}', __package__), cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; ClickException with a message of one line if it fails."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise Interrupted('') from None
        except Exception as error:
            if ctx.params.get('traceback') or ctx.obj and not isinstance(error, USER_ERRORS):
                raise
            text = ' '.join(str(error).split()) or type(error).__name__
            if isinstance(error, OSError) and error.strerror and error.filename:
                text = f'{os.fspath(error.filename)}: {error.strerror}.'
            elif not isinstance(error, USER_ERRORS):
                text = (f'unexpected {type(error).__name__}: {text} (instbox --traceback COMMAND '
                        '... shows where it happened)')
            raise click.ClickException(text) from error


@contextmanager
def user_errors() -> Iterator[None]:
    """Ends a script of ``tools/`` with one line on errors of this package and of files.

    Bugs keep their traceback; ``INSTBOX_DEBUG=1`` in the environment keeps all of them.
    """
    try:
        yield
    except USER_ERRORS as error:
        if os.environ.get('INSTBOX_DEBUG'):
            raise
        sys.exit(f'{os.path.basename(sys.argv[0])}: {error}')


@click.group(
    cls=LazyGroup,
    context_settings=dict(help_option_names=['-h', '--help'], show_default=True,
                          max_content_width=100))
@click.option('--traceback', is_flag=True, envvar='INSTBOX_DEBUG', show_default=False,
              help='Show the traceback of an error (or set INSTBOX_DEBUG=1).')
@click.version_option(__version__, prog_name='instbox')
def cli(traceback: bool) -> None:
    """Instance segmentation from pixel boxes, for MMSegmentation.

    \b
    Examples:
      instbox predict photos --out found           masks and drawings of a folder
      instbox serve                                the same on a web page
      instbox check my_data                        counts and problems of annotated images
      instbox train my_data                        a model of your own annotated images
      instbox test my_config.py iter_2000.pth      evaluate
      instbox export iter_2000.pth model.onnx      a file that runs without OpenMMLab
      instbox COMMAND --help                       all options of a command

    \b
    Exit codes: 0 success; 1 failure (predict: also when some of the inputs could not be
    predicted); 2 invalid command line; 130 stopped by Ctrl-C.
    """


def main(*words: str) -> None:
    """Runs the command line of this process and exits; a script of ``tools/`` inserts ``words``
    before the arguments, for example ``'train'``, and bugs then keep their traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names may have letters that it cannot show
        sys.stdout.reconfigure(errors='backslashreplace')
    with distributed_exit():
        cli([*words, *sys.argv[1:]], prog_name='instbox', obj=bool(words))
