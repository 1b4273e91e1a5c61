"""A click group that imports commands when they are used and reports errors in one line."""
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ..errors import InstBoxError

USER_ERRORS = (InstBoxError, OSError)
INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended


class Interrupted(click.ClickException):
    """The user stopped a command with Ctrl-C.

    Args:
        message: What is done, and how to resume.
    """
    exit_code = INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Writes the message to ``file``, the standard error stream by default."""
        click.echo(f'\nStopped. {self.message}'.rstrip(), file=file, err=True)


class LazyGroup(click.Group):
    """Imports a command when it is used, and turns exceptions into one-line errors.

    Args:
        package: The package with a module for each command; the function has the same name.
        names: Names of the commands, in the order of the help.
        **kwargs: See ``click.Group``. With an option ``traceback`` (bool) exceptions pass.
    """

    def __init__(self, *args: Any, package: str = '', names: Sequence[str] = (),
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.names = list(names)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of the commands, in the order of the help."""
        return self.names

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns a command, None if there is none."""
        if cmd_name not in self.names:
            return None
        return getattr(import_module(f'{self.package}.{cmd_name}'), cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; exceptions become one line and an exit code.

        Raises:
            click.ClickException: The command failed.
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
    """Returns an error message on one line.

    Unexpected exceptions are shown with their type and how to get the traceback.
    """
    text = ' '.join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f'{os.fspath(error.filename)}: {error.strerror}.'
    if isinstance(error, USER_ERRORS):
        return text
    return (f'unexpected {type(error).__name__}: {text} (instbox --traceback COMMAND ... '
            'shows where it happened)')
