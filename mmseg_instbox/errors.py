"""The exceptions that the package raises for what a user can fix.

Each is also the builtin exception that Python programs expect, so that ``except ValueError`` works;
``except InstBoxError`` catches all of them, and no bug.
"""


class InstBoxError(Exception):
    """Base class. Messages name the input, what was expected, and how to fix it."""


class InvalidInputError(InstBoxError, ValueError):
    """A value, a file's content or a combination of settings that cannot be used."""


class BrokenCheckpointError(InvalidInputError):
    """A file that is not a checkpoint, or a damaged one."""


class BrokenExportError(InvalidInputError):
    """A file that is not an exported model, or a damaged one."""


class ExportError(InvalidInputError):
    """A model that cannot be exported, or whose exported form gives other outputs."""


class TooLargeError(InvalidInputError):
    """An input above one of the limits of ``mmseg_instbox.utils.limits``."""


class InvalidTypeError(InstBoxError, TypeError):
    """An argument of a type that cannot be used."""


class InvalidIndexError(InstBoxError, IndexError):
    """An index that is too large."""


class MissingFileError(InstBoxError, FileNotFoundError):
    """A file or directory that is not there."""


class FileAccessError(InstBoxError, OSError):
    """A file, directory, port or device that exists and cannot be used."""


class TrainingError(InstBoxError, RuntimeError):
    """A training that cannot continue, for a reason outside its code."""


class MissingPackageError(InstBoxError, ImportError):
    """An optional dependency that is not installed."""
