"""The command ``instbox``: subcommands are loaded on first use and report errors in one line."""
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ..errors import InstBoxError
from ..utils import distributed_exit
from ..version import __version__

COMMANDS = ('predict', 'convert', 'check', 'train', 'test', 'browse', 'export', 'info', 'models',
            'serve')
USER_ERRORS = (InstBoxError, OSError)
INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended


class Interrupted(click.ClickException):
    """The user stopped a command with Ctrl-C.

    Args:
        message: What is done, and how to resume.
    """
    exit_code = INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Write the message to ``file``, by default to the standard error stream."""
        click.echo(f'\nStopped. {self.message}'.rstrip(), file=file, err=True)


class LazyGroup(click.Group):
    """Loads a command when it is used, and reports its exceptions in one line.

    Args:
        package: The package that has a module for each command; the module's function is named
            like the command.
        names: Names of the commands, in the order of the help.
        **kwargs: See ``click.Group``. An option ``traceback`` (bool) lets exceptions pass.
    """

    def __init__(self, *args: Any, package: str = '', names: Sequence[str] = (),
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.names = list(names)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the help."""
        return self.names

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None; its module is imported here."""
        if cmd_name not in self.names:
            return None
        return getattr(import_module(f'{self.package}.{cmd_name}'), cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; its exceptions become one line and an exit code.

        Raises:
            click.ClickException: With the line as its message.
        """
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise Interrupted('') from None
        except Exception as error:
            if ctx.params.get('traceback'):
                raise
            raise click.ClickException(error_line(error)) from error


def error_line(error: Exception) -> str:
    """The message of an exception on one line.

    Errors that the user can fix stand for themselves; others are named by their type, and the line
    says how to see the traceback.
    """
    text = ' '.join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f'{os.fspath(error.filename)}: {error.strerror}.'
    if isinstance(error, USER_ERRORS):
        return text
    return (f'unexpected {type(error).__name__}: {text} (instbox --traceback COMMAND ... '
            'shows where it happened)')


@click.group(
    cls=LazyGroup,
    package='mmseg_instbox.cli',
    names=COMMANDS,
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


def main() -> None:
    """Runs the command line of this process and exits."""
    with distributed_exit():
        cli(prog_name='instbox')


if __name__ == '__main__':
    main()
