"""Which checkpoint a run goes on from."""
import contextlib
import logging
import re
from pathlib import Path

from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from .checkpoint_file import BrokenCheckpointError, read_checkpoint


def last_checkpoint(work_dir: str | Path) -> Path | None:
    """The last checkpoint of a run that can be read, or None.

    One that cannot be read is renamed to ``NAME.broken`` and named in the log, and the one before
    it is tried. A checkpoint with pickled objects counts as sound: whether it may be unpickled is
    decided elsewhere.

    Args:
        work_dir: Directory of the run, with ``iter_N.pth`` or ``epoch_N.pth``, or with
            ``last_checkpoint``, a file that holds the path of the last one.
    """
    for file in _candidates(Path(work_dir)):
        try:
            read_checkpoint(file)
        except BrokenCheckpointError as error:
            aside = file.with_name(f'{file.name}.broken')
            with contextlib.suppress(FileNotFoundError):  # another process of the run was faster
                file.replace(aside)
            print_log(f'{error} It is now called {aside.name}, and the one before it is tried.',
                      'current', logging.WARNING)
        except FileNotFoundError:
            continue
        except ValueError:
            return file
        else:
            return file
    return None


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
