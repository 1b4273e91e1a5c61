"""Reads checkpoints as data: no code that a file carries is run unless the user says so."""
import hashlib
import os
import pickle
import re
import zipfile
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from ..errors import BrokenCheckpointError, InvalidInputError, MissingFileError
from .find_config import near_files

TRUST = ('if you trust where it comes from, pass allow_pickle=True (--allow-pickle on the command '
         'line)')


def read_checkpoint(path: str | Path, allow_pickle: bool = False) -> dict:
    """Read a checkpoint onto the CPU, tensors and plain data only.

    Args:
        path: A file, or an http or https address, which is downloaded into PyTorch's cache.
        allow_pickle: Trust the file: let it hold pickled objects, whose reading can run any code.

    Returns:
        dict: What the file holds: ``state_dict``, ``meta`` and more, or bare weights by name.

    Raises:
        FileNotFoundError: There is no such file; the sentence names files that are near.
        BrokenCheckpointError: The file is cut off or no checkpoint.
        ValueError: It holds pickled objects and ``allow_pickle`` is off, or the address does not
            answer.
    """
    file = local_checkpoint(path)
    try:
        checkpoint = torch.load(file, map_location='cpu', weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        raise _unpickling_error(file, error) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, ImportError,
            TypeError, IndexError) as error:
        raise BrokenCheckpointError(
            f'{file} cannot be read as a checkpoint: it may be cut off, or another kind of file '
            f'({_first_line(error)}).') from error
    parts = [checkpoint]
    if isinstance(checkpoint, dict):
        parts = [checkpoint.get('state_dict'), checkpoint.get('meta')]
    for part in parts:
        if not isinstance(part, dict | None):
            raise BrokenCheckpointError(
                f'{file} holds a {type(part).__name__} where a checkpoint has a dictionary: it is '
                'no checkpoint of a model.')
    return checkpoint


def local_checkpoint(path: str | Path) -> Path:
    """The file of a checkpoint, downloaded first if it is an address.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: ``path`` is a folder, or an address of another kind, or it does not answer.
    """
    if '://' in str(path):
        return _download(str(path))
    file = Path(path).expanduser()
    if file.is_dir():
        found = ', '.join(sorted(each.name for each in file.glob('*.pth'))) or 'none'
        raise InvalidInputError(f'{file} is a folder; give a .pth file, of which it holds: '
                                f'{found}.')
    if not file.is_file():
        raise MissingFileError(f'There is no checkpoint {str(path)!r}{near_files(file)}')
    return file


def check_weights(cfg: Config, allow_pickle: bool = False) -> None:
    """Read the checkpoint that a run starts from as data before the runner reads it.

    MMEngine falls back to unpickling, which runs what the file says. An address is downloaded, and
    the run loads the file that was checked.

    Args:
        cfg: The config of a run, with ``load_from`` and ``resume``, changed in place.
        allow_pickle: Trust the file and leave it to MMEngine.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds pickled objects or is broken, or the run is to be resumed and the
            file is not from a training run.
    """
    source = cfg.get('load_from')
    if source is None:
        return
    if allow_pickle:
        print_log(f'{source} may run code while it is read: pickle was allowed.', 'current')
        return
    file = local_checkpoint(source)
    checkpoint = read_checkpoint(file)
    if cfg.get('resume') and not {'meta', 'message_hub'} <= checkpoint.keys():
        raise InvalidInputError(f'{source} holds no state of a training run to go on from: start '
                                'from its weights with --cfg-options load_from=FILE instead of '
                                '--resume.')
    cfg.load_from = str(file)


def write_plain_checkpoints(cfg: Config) -> None:
    """Let a training write checkpoints that load weights-only, unless its config settles it.

    A config that does not build on a schedule of this package lacks ``PlainCheckpointHook``.
    """
    hooks = cfg.get('default_hooks') or {}
    hooks.setdefault('plain_checkpoint', dict(type='PlainCheckpointHook'))
    cfg.default_hooks = hooks


def _download(address: str) -> Path:
    """Fetch an address once into PyTorch's cache; whole or not at all."""
    if not address.startswith(('http://', 'https://')):
        raise InvalidInputError(f'{address} is no http or https address: download the file and '
                                'give its path.')
    # two addresses may end in the same file name
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    name = os.path.basename(urlparse(address).path) or 'checkpoint.pth'
    file = Path(torch.hub.get_dir()) / 'checkpoints' / f'{digest}-{name}'
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'Downloading {address} to {file}', 'current')
        try:
            torch.hub.download_url_to_file(address, str(file), progress=False)
        except OSError as error:
            raise InvalidInputError(f'{address} cannot be downloaded ({_first_line(error)}): check '
                                    'the address and the network, or download it and give the '
                                    'path.') from error
    return file


def _unpickling_error(file: Path, error: Exception) -> InvalidInputError:
    with file.open('rb') as stream:
        is_pickle = stream.read(1) == b'\x80'
    if not (is_pickle or zipfile.is_zipfile(file)):
        return BrokenCheckpointError(f'{file} is no checkpoint: give a .pth file that a training '
                                     'run or tools/model_converters/publish_model.py wrote.')
    return InvalidInputError(f'{file} holds more than weights and plain data '
                             f'({_culprit(error)}), so reading it could run code: {TRUST}.')


def _culprit(error: Exception) -> str:
    """What the weights-only reader stumbled over, from its long message."""
    found = re.search(r'GLOBAL (\S+)', str(error))
    return found.group(1) if found else 'pickled objects'


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
