"""Which checkpoint a run goes on from."""
import contextlib
import logging
import re
import zipfile
from pathlib import Path

from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from ..errors import BrokenCheckpointError, InvalidInputError
from .checkpoint_file import read_checkpoint


def last_checkpoint(work_dir: str | Path) -> Path | None:
    """The last checkpoint of a run that can be read, or None.

    One that cannot be read, or whose content does not fit its checksums (PyTorch's reader does not
    compare them), is renamed to ``NAME.broken`` and named in the log, and the one before it is
    tried. A checkpoint with pickled objects counts as sound: whether it may be unpickled is
    decided elsewhere.

    Args:
        work_dir: Directory of the run, with ``iter_N.pth`` or ``epoch_N.pth``, or with
            ``last_checkpoint``, a file that holds the path of the last one.
    """
    for file in _candidates(Path(work_dir)):
        try:
            _check_sums(file)
            read_checkpoint(file)
        except BrokenCheckpointError as error:
            aside = file.with_name(f'{file.name}.broken')
            with contextlib.suppress(FileNotFoundError):  # another process of the run was faster
                file.replace(aside)
            print_log(f'{error} It is now called {aside.name}, and the one before it is tried.',
                      'current', logging.WARNING)
        except FileNotFoundError:
            continue
        except InvalidInputError:
            return file
        else:
            return file
    return None


def named_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint that :func:`last_checkpoint` tries first, not read, or None."""
    return next(iter(_candidates(Path(work_dir))), None)


def _check_sums(file: Path) -> None:
    """Raise BrokenCheckpointError if a part of the archive does not fit its checksum."""
    if not zipfile.is_zipfile(file):
        return  # the reader says what it thinks of it
    try:
        damaged = zipfile.ZipFile(file).testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BrokenCheckpointError(f'{file} cannot be read ({error}).') from error
    if damaged is not None:
        raise BrokenCheckpointError(f'{file} is damaged: the checksum of its part {damaged} does '
                                    'not fit.')


def _candidates(work_dir: Path) -> list[Path]:
    """Checkpoints that may be there, the one that the run names first, then the latest first."""
    pointer, named = work_dir / 'last_checkpoint', ''
    if pointer.is_file():
        named = find_latest_checkpoint(str(work_dir))
    numbers = {}
    for file in work_dir.glob('*.pth'):
        if found := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', file.name):
            numbers[file] = int(found[1])
    latest = sorted(numbers, key=numbers.get, reverse=True)
    # a work directory that was moved or copied goes on with its own
    first = [path for path in (work_dir / Path(named).name, Path(named)) if path.is_file()]
    return [*first[:1], *(file for file in latest if file not in first)]
