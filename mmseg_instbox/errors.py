"""The exceptions that the package raises where its user can mend something.

Each is also the builtin exception that Python programs expect, so that ``except ValueError`` goes
on working; ``except InstBoxError`` catches them and nothing that is a bug.
"""


class InstBoxError(Exception):
    """The family: its message says what was given, what was expected and how to mend it."""


class InvalidInputError(InstBoxError, ValueError):
    """A value, a file's content or a combination of settings that cannot be used."""


class BrokenCheckpointError(InvalidInputError):
    """A file that is no checkpoint, or no longer one."""


class BrokenExportError(InvalidInputError):
    """A file that is no exported model, or no longer one."""


class ExportError(InvalidInputError):
    """A model that cannot be exported, or whose exported form says something else."""


class TooLargeError(InvalidInputError):
    """An input above one of the limits of ``mmseg_instbox.utils.limits``."""


class InvalidTypeError(InstBoxError, TypeError):
    """An argument of a type that cannot be used."""


class InvalidIndexError(InstBoxError, IndexError):
    """A number of something that there are fewer of."""


class MissingFileError(InstBoxError, FileNotFoundError):
    """A file or directory that is not there."""


class FileAccessError(InstBoxError, OSError):
    """A file, directory, port or device that is there and cannot be used."""


class TrainingError(InstBoxError, RuntimeError):
    """A training that cannot go on, for a reason outside its code."""


class MissingPackageError(InstBoxError, ImportError):
    """A package that only a part of this one needs, and that is not installed."""
