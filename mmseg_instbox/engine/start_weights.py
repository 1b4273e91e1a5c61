"""Finds and checks the weights that a run starts from: pretrained, given, or its last ones."""
import contextlib
import logging
import re
import zipfile
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import checkpoint as zoo
from mmengine.runner import find_latest_checkpoint

from ..errors import BrokenCheckpointError, InvalidInputError
from ..utils import walk
from ..utils.file_names import is_http
from .checkpoints import download, local_checkpoint, read_checkpoint
from .model_loading import build_network, load_weights

# the addresses of MMEngine's model zoos, by the scheme of their names
ZOOS = {'open-mmlab': zoo.get_external_models, 'openmmlab': zoo.get_external_models,
        'mmcls': zoo.get_mmcls_models, 'torchvision': zoo.get_torchvision_models}


def check_weights(cfg: Config, allow_pickle: bool = False) -> None:
    """Read the checkpoint that a run starts from as data, before MMEngine unpickles it.

    ``load_from`` of the config becomes the file that was read. With ``allow_pickle`` the file is
    trusted and left to MMEngine.

    Raises:
        MissingFileError: There is no such file.
        InvalidInputError: The file holds pickled objects or is broken, or the run is to be resumed
            and the file is not from a training run, or of another model.
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
    if cfg.get('resume') and 'model' in cfg:  # MMEngine would fail at the state of the optimizer
        load_weights(build_network(cfg), checkpoint, str(source))
    cfg.load_from = str(file)


def check_pretrained(cfg: Config, allow_pickle: bool = False) -> None:
    """Read the weights that ``init_cfg`` and ``pretrained`` of a model name, as data.

    Addresses in the config become the files that were read. Weights of MMEngine's model zoos
    (``open-mmlab://...``) are trusted and only downloaded, so that a missing network is reported at
    once.

    Raises:
        MissingFileError: There is no such file.
        InvalidInputError: A file holds pickled objects or is broken, or cannot be downloaded; the
            message says where to put it and how to train without it.
    """
    for place, _, node in walk(cfg.get('model'), 'model'):
        is_init = isinstance(node, dict) and node.get('type') == 'Pretrained'
        key = 'checkpoint' if is_init else 'pretrained'
        source = node.get(key) if isinstance(node, dict) else None
        if not isinstance(source, str) or not source:
            continue
        setting = re.sub(r'\[\d+\]$', '', place) if is_init else f'{place}.pretrained'
        option = re.sub(r'\[(\d+)\]', r'.\1', setting)
        hint = f', or leave it out with --cfg-options {option}=None'
        if '://' in source and not is_http(source):
            scheme, name = source.split('://', 1)
            name = zoo.get_deprecated_model_names().get(name, name)
            address = ZOOS[scheme]().get(name, '') if scheme in ZOOS else ''
            if is_http(address):
                download(address, hint=hint)
        elif not allow_pickle:
            file = local_checkpoint(source, hint)
            read_checkpoint(file)
            node[key] = str(file)


def last_checkpoint(work_dir: str | Path) -> Path | None:
    """The last checkpoint of a run that can be read, or None.

    One that cannot be read, or whose content does not fit its checksums (PyTorch's reader does not
    compare them), is renamed to ``NAME.broken`` and named in the log, and the one before it is
    tried. A checkpoint with pickled objects counts as sound.
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
        except InvalidInputError:  # pickled objects
            pass
        return file
    return None


def _check_sums(file: Path) -> None:
    """Raise BrokenCheckpointError if a part of the archive, if it is one, is damaged."""
    try:
        damaged = zipfile.is_zipfile(file) and zipfile.ZipFile(file).testzip()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        damaged = error
    if damaged:
        raise BrokenCheckpointError(f'{file} is damaged: a checksum does not fit ({damaged}).')


def candidates(work_dir: str | Path) -> list[Path]:
    """Checkpoints of a run, not read: the one that the run names first, then the latest first."""
    work_dir, named = Path(work_dir), Path()
    if (work_dir / 'last_checkpoint').is_file():
        named = Path(find_latest_checkpoint(str(work_dir)))
    numbers = {}
    for file in work_dir.glob('*.pth'):
        if found := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', file.name):
            numbers[file] = int(found[1])
    latest = sorted(numbers, key=numbers.get, reverse=True)
    # a work directory that was moved or copied goes on with its own
    first = [path for path in (work_dir / named.name, named) if path.is_file()][:1]
    return list(dict.fromkeys([*first, *latest]))
