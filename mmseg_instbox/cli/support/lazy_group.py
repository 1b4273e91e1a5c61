"""A group of commands that are loaded on first use and report errors in one sentence."""
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ...errors import InstBoxError

USER_ERRORS = (InstBoxError, OSError)
INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended


class Interrupted(click.ClickException):
    """The user stopped a command with Ctrl-C.

    Args:
        message: A sentence about what is done and how to go on.
    """
    exit_code = INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Write the sentence to ``file``, the standard error stream by default."""
        click.echo(f'\nStopped. {self.message}'.rstrip(), file=file, err=True)


class LazyGroup(click.Group):
    """Loads a command when it is asked for, and turns exceptions into sentences.

    Args:
        package: The package that has a module for each command; the module's function is named
            like the command.
        names: Names of the commands, in the order of the help.
        **kwargs: See ``click.Group``. An option ``traceback`` (bool) lets exceptions through.
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
        """Run a command; what it raises becomes one sentence and an exit code.

        Raises:
            click.ClickException: With the sentence.
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
            raise click.ClickException(error_sentence(error)) from error


def error_sentence(error: Exception) -> str:
    """What an exception says, on one line.

    A mistake of the user explains itself; anything else comes with its type and with how to see
    where it happened.
    """
    text = ' '.join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f'{os.fspath(error.filename)}: {error.strerror}.'
    if isinstance(error, USER_ERRORS):
        return text
    return (f'unexpected {type(error).__name__}: {text} (instbox --traceback COMMAND ... '
            'shows where it happened)')
