"""Reads checkpoints as data: code that a file carries runs only if the user allows it."""
import contextlib
import hashlib
import logging
import os
import pickle
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import checkpoint as zoo
from mmengine.runner import find_latest_checkpoint
from mmengine.utils import import_modules_from_strings

from ..errors import BrokenCheckpointError, InvalidInputError, MissingFileError
from ..utils import walk
from ..utils.foreign_errors import reason
from .config_check import check_config_is_data
from .config_io import config_from_json, near_files

TRUST = ('if you trust where it comes from, pass allow_pickle=True (--allow-pickle on the command '
         'line)')
# what torch.load raises on a file that is no checkpoint, or no longer one
UNREADABLE = (RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError,
              ImportError, TypeError)
HTTP = ('http://', 'https://')
# the addresses of MMEngine's model zoos, by the scheme of their names
ZOOS = {'open-mmlab': zoo.get_external_models, 'openmmlab': zoo.get_external_models,
        'mmcls': zoo.get_mmcls_models, 'torchvision': zoo.get_torchvision_models}


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
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(file) and file.read_bytes()[:1] != b'\x80':
            raise BrokenCheckpointError(
                f'{file} is no checkpoint: give a .pth file that a training or '
                'tools/model_converters/publish_model.py wrote.') from error
        found = re.search(r'GLOBAL (\S+)', str(error))  # in a long message
        raise InvalidInputError(f'{file} holds more than weights and plain data '
                                f'({found[1] if found else "pickled objects"}), so reading it '
                                f'could run code: {TRUST}.') from error
    except UNREADABLE as error:
        raise BrokenCheckpointError(
            f'{file} cannot be read as a checkpoint: it may be cut off, or another kind of file '
            f'({reason(error)}).') from error
    parts = [checkpoint]
    if isinstance(checkpoint, dict):
        parts = [checkpoint.get('state_dict'), checkpoint.get('meta')]
    for part in parts:
        if not isinstance(part, dict | None):
            raise BrokenCheckpointError(
                f'{file} holds a {type(part).__name__} where a checkpoint has a dictionary: it is '
                'no checkpoint of a model.')
    return checkpoint


def local_checkpoint(path: str | Path, hint: str = '') -> Path:
    """The file of a checkpoint; an address is downloaded once, into PyTorch's cache.

    Args:
        path: A path, or an http or https address.
        hint: What else can be done without the network, for the error message.

    Raises:
        MissingFileError: There is no such file.
        InvalidInputError: ``path`` is a folder, or an address that does not answer.
    """
    address = str(path)
    if address.startswith(HTTP):
        # two addresses may end in the same file name
        digest = hashlib.sha256(address.encode()).hexdigest()[:8]
        return _download(address, f'{digest}-{_file_name(address)}', hint)
    if '://' in address:
        raise InvalidInputError(f'{address} is no http or https address: download the file and '
                                'give its path.')
    file = Path(path).expanduser()
    if file.is_dir():
        found = ', '.join(sorted(each.name for each in file.glob('*.pth'))) or 'none'
        raise InvalidInputError(f'{file} is a folder; give a .pth file, of which it holds: '
                                f'{found}.')
    if not file.is_file():
        raise MissingFileError(f'There is no checkpoint {address!r}{near_files(file)}')
    return file


def _file_name(address: str) -> str:
    return os.path.basename(urlparse(address).path) or 'checkpoint.pth'


def _download(address: str, name: str, hint: str = '') -> Path:
    """Download an address to the file ``name`` of PyTorch's cache, unless it is there."""
    file = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'Downloading {address} to {file}', 'current')
        try:
            torch.hub.download_url_to_file(address, str(file), progress=False)
        except OSError as error:
            raise InvalidInputError(
                f'{address} cannot be downloaded ({reason(error)}): check the address and the '
                f'network, or put the file at {file}{hint}.') from error
    return file


def checkpoint_config(checkpoint: dict, allow_pickle: bool = False,
                      without: Iterable[str] = ()) -> Config | None:
    """The resolved config that a checkpoint carries as JSON in ``meta['config_json']``.

    The config as Python that MMEngine writes (``meta['cfg']``) is never executed.

    Args:
        checkpoint: What :func:`read_checkpoint` gives.
        allow_pickle: Trust the checkpoint: import what its config asks for, and let it name any
            type. Otherwise it may name registered types alone.
        without: Keys of the config that are left out.

    Returns:
        Config | None: None if the checkpoint carries no config as JSON.

    Raises:
        InvalidInputError: The JSON is broken, or the config is not data alone.
    """
    text = (checkpoint.get('meta') or {}).get('config_json')
    if text is None:
        return None
    cfg = config_from_json(text)
    for key in without:
        cfg.pop(key, None)
    if allow_pickle:
        if cfg.get('custom_imports'):
            import_modules_from_strings(**cfg.custom_imports)
        return cfg
    try:
        check_config_is_data(cfg.to_dict(), 'The config in the checkpoint')
    except InvalidInputError as error:
        raise InvalidInputError(f'{str(error).rstrip(".")}; {TRUST}.') from error
    return cfg


def check_weights(cfg: Config, allow_pickle: bool = False) -> None:
    """Read the checkpoint that a run starts from as data, before MMEngine unpickles it.

    Args:
        cfg: The config of a run, changed in place: ``load_from`` becomes the file that was read.
        allow_pickle: Trust the file and leave it to MMEngine.

    Raises:
        MissingFileError: There is no such file.
        InvalidInputError: The file holds pickled objects or is broken, or the run is to be resumed
            and the file is not from a training run.
    """
    source = cfg.get('load_from')
    if source is None or allow_pickle:
        return
    file = local_checkpoint(source)
    checkpoint = read_checkpoint(file)
    if cfg.get('resume') and not {'meta', 'message_hub'} <= checkpoint.keys():
        raise InvalidInputError(f'{source} holds no state of a training run to go on from: start '
                                'from its weights with --cfg-options load_from=FILE instead of '
                                '--resume.')
    cfg.load_from = str(file)


def check_pretrained(cfg: Config, allow_pickle: bool = False) -> None:
    """Read the weights that ``init_cfg`` and ``pretrained`` of a model name, as data.

    Names of MMEngine's model zoos (``open-mmlab://...``) are only downloaded, so that a missing
    network is reported at once: who runs MMEngine trusts its authors.

    Args:
        cfg: The config of a training; addresses become the files that were read.
        allow_pickle: Trust the files and leave them to MMEngine.

    Raises:
        MissingFileError: There is no such file.
        InvalidInputError: A file holds pickled objects or is broken, or cannot be downloaded; the
            message says where to put it and how to train without it.
    """
    for place, _, node in walk(cfg.get('model'), 'model'):
        if not isinstance(node, dict):
            continue
        key = 'checkpoint' if node.get('type') == 'Pretrained' else 'pretrained'
        source = node.get(key)
        if not isinstance(source, str) or not source:
            continue
        setting = f'{place}.pretrained' if key == 'pretrained' else re.sub(r'\[\d+\]$', '', place)
        option = re.sub(r'\[(\d+)\]', r'.\1', setting)
        hint = f', or leave it out with --cfg-options {option}=None'
        if '://' in source and not source.startswith(HTTP):
            scheme, name = source.split('://', 1)
            name = zoo.get_deprecated_model_names().get(name, name)
            address = ZOOS[scheme]().get(name, '') if scheme in ZOOS else ''
            if address.startswith(HTTP):
                _download(address, _file_name(address), hint)
        elif not allow_pickle:
            file = local_checkpoint(source, hint)
            read_checkpoint(file)
            node[key] = str(file)


def last_checkpoint(work_dir: str | Path) -> Path | None:
    """The last checkpoint of a run that can be read, or None.

    One that cannot be read, or whose content does not fit its checksums (PyTorch's reader does not
    compare them), is renamed to ``NAME.broken`` and named in the log, and the one before it is
    tried. A checkpoint with pickled objects counts as sound.

    Args:
        work_dir: Directory of the run, with ``iter_N.pth`` or ``epoch_N.pth``, or with
            ``last_checkpoint``, a file that holds the path of the last one.
    """
    for file in candidates(work_dir):
        try:
            _check_sums(file)
            read_checkpoint(file)
        except BrokenCheckpointError as error:
            aside = file.with_name(f'{file.name}.broken')
            with contextlib.suppress(FileNotFoundError):  # another process of the run was faster
                file.replace(aside)
            print_log(f'{error} It is now called {aside.name}, and the one before it is tried.',
                      'current', logging.WARNING)
            continue
        except FileNotFoundError:
            continue
        except InvalidInputError:
            pass  # pickled objects
        return file
    return None


def _check_sums(file: Path) -> None:
    """Raise BrokenCheckpointError if a part of the archive does not fit its checksum."""
    if not zipfile.is_zipfile(file):
        return  # read_checkpoint raises the error
    try:
        damaged = zipfile.ZipFile(file).testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BrokenCheckpointError(f'{file} cannot be read ({error}).') from error
    if damaged is not None:
        raise BrokenCheckpointError(f'{file} is damaged: the checksum of its part {damaged} does '
                                    'not fit.')


def candidates(work_dir: str | Path) -> list[Path]:
    """Checkpoints of a run, not read: the one that the run names first, then the latest first."""
    work_dir, named = Path(work_dir), ''
    if (work_dir / 'last_checkpoint').is_file():
        named = find_latest_checkpoint(str(work_dir))
    numbers = {}
    for file in work_dir.glob('*.pth'):
        if found := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', file.name):
            numbers[file] = int(found[1])
    latest = sorted(numbers, key=numbers.get, reverse=True)
    # a work directory that was moved or copied goes on with its own
    first = [path for path in (work_dir / Path(named).name, Path(named)) if path.is_file()]
    return [*first[:1], *(file for file in latest if file not in first)]
