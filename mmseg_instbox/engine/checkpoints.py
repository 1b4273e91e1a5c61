"""Reads checkpoints as data: code that a file carries runs only if the user allows it."""
import hashlib
import os
import pickle
import re
import zipfile
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.utils import import_modules_from_strings

from ..errors import BrokenCheckpointError, InvalidInputError, MissingFileError
from ..utils import atomic_write
from ..utils.file_names import is_http, near_files
from ..utils.foreign_errors import first_few, reason
from .config_check import EVALUATORS, check_config_is_data
from .config_io import config_from_json

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
        MissingFileError: There is no such file; the message names similar files.
        BrokenCheckpointError: The file is cut off or no checkpoint.
        InvalidInputError: It holds pickled objects and ``allow_pickle`` is off, or the address does
            not answer.
    """
    file = local_checkpoint(path)
    try:
        checkpoint = torch.load(file, map_location='cpu', weights_only=not allow_pickle)
    except Exception as error:
        with file.open('rb') as opened:
            pickled = zipfile.is_zipfile(file) or opened.read(1) == b'\x80'
        if not isinstance(error, pickle.UnpicklingError) or not pickled:
            raise BrokenCheckpointError(
                f'{file} cannot be read as a checkpoint: it may be cut off, or another kind of '
                f'file ({reason(error)}).') from error
        found = re.search(r'GLOBAL (\S+)', str(error))  # in a long message
        raise InvalidInputError(f'{file} holds more than weights and plain data '
                                f'({found[1] if found else "pickled objects"}), so reading it '
                                f'could run code: {TRUST}.') from error
    parts = [checkpoint]
    if isinstance(checkpoint, dict):
        parts = [checkpoint.get('state_dict', {}), checkpoint.get('meta') or {}]
    for part in parts:
        if not isinstance(part, dict):
            raise BrokenCheckpointError(
                f'{file} holds a {type(part).__name__} where a checkpoint has a dictionary: it is '
                'no checkpoint of a model.')
    return checkpoint


def weights_of(checkpoint: dict, source: str) -> dict[str, torch.Tensor]:
    """The weights by name in ``state_dict`` of a checkpoint, or in all of it; without the prefix
    ``module.`` of distributed models.

    Raises:
        InvalidInputError: They are no tensors; the message calls the checkpoint ``source``.
    """
    state = {str(key).removeprefix('module.'): value
             for key, value in checkpoint.get('state_dict', checkpoint).items()}
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InvalidInputError(f'{source} has no weights: its entries are {first_few(state)}.')
    return state


def local_checkpoint(path: str | Path, hint: str = '') -> Path:
    """The file of a checkpoint, given by its path or its http(s) address, which is downloaded once.

    Raises:
        MissingFileError: There is no such file.
        InvalidInputError: ``path`` is a folder, or see :func:`download`.
    """
    address = str(path)
    if is_http(address):
        digest = hashlib.sha256(address.encode()).hexdigest()[:8]  # file names may be the same
        return download(address, f'{digest}-', hint)
    if '://' in address:
        raise InvalidInputError(f'{address} is no http(s) address: download the file and give its '
                                'path.')
    file = Path(path).expanduser()
    if file.is_dir():
        found = ', '.join(sorted(each.name for each in file.glob('*.pth'))) or 'none'
        raise InvalidInputError(f'{file} is a folder; give a .pth file, of which it holds: '
                                f'{found}.')
    if not file.is_file():
        raise MissingFileError(f'There is no checkpoint {address!r}{near_files(file)}')
    return file


def download(address: str, prefix: str = '', hint: str = '') -> Path:
    """Download an address to PyTorch's cache, unless it is there, under ``prefix`` and its name.

    Raises:
        InvalidInputError: It does not answer. The message says where to put the file, and ends with
            ``hint``, another way to go on.
    """
    name = os.path.basename(urlparse(address).path) or 'checkpoint.pth'
    file = Path(torch.hub.get_dir()) / 'checkpoints' / f'{prefix}{name}'
    if not file.is_file():
        print_log(f'Downloading {address} to {file}', 'current')
        request = Request(address, headers={'User-Agent': 'mmseg_instbox'})
        try:
            with urlopen(request) as answer:
                # read() raises IncompleteRead; PyTorch's function keeps what came until a cut
                atomic_write(answer.read(), file)
        except (OSError, HTTPException) as error:
            raise InvalidInputError(
                f'{address} cannot be downloaded ({reason(error)}): check the address, the network '
                f'and that {file.parent} can be written, or put the file at {file}{hint}.'
            ) from error
    return file


def checkpoint_config(checkpoint: dict, allow_pickle: bool = False) -> Config | None:
    """The resolved config that a checkpoint carries as JSON in ``meta['config_json']``.

    It comes without evaluators, whose check would import MMDetection. The config as Python that
    MMEngine writes (``meta['cfg']``) is never executed.

    With ``allow_pickle`` the checkpoint is trusted: what its config asks for is imported, and it
    may name any type. Otherwise it may name registered types alone. None if there is no JSON.

    Raises:
        InvalidInputError: The JSON is broken, or the config is not data alone.
    """
    text = (checkpoint.get('meta') or {}).get('config_json')
    if text is None:
        return None
    cfg = config_from_json(text)
    for key in EVALUATORS:
        cfg.pop(key, None)
    if allow_pickle:
        import_modules_from_strings(**cfg.get('custom_imports') or dict(imports=None))
        return cfg
    try:
        check_config_is_data(cfg.to_dict(), 'The config in the checkpoint')
    except InvalidInputError as error:
        raise InvalidInputError(f'{str(error).rstrip(".")}; {TRUST}.') from error
    return cfg
