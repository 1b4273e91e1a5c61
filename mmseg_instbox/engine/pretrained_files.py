"""Weights that a training starts parts of its network from, read as data first."""
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from .checkpoint_file import local_checkpoint, read_checkpoint


def check_pretrained(cfg: Config, allow_pickle: bool = False) -> None:
    """Read the files that ``init_cfg`` and ``pretrained`` of a model name, weights-only.

    MMEngine falls back to unpickling, which runs what a file says. An address is downloaded, and
    the run loads the file that was checked. Names of MMEngine's model zoos (``open-mmlab://...``)
    are left to it: who runs MMEngine trusts its authors.

    Args:
        cfg: The config of a training, changed in place.
        allow_pickle: Trust the files and leave them to MMEngine.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file holds pickled objects or is broken.
    """
    for node, key in _sources(cfg.get('model')):
        source = str(node[key])
        if '://' in source and not source.startswith(('http://', 'https://')):
            continue
        if allow_pickle:
            print_log(f'{source} may run code while it is read: pickle was allowed.', 'current')
            continue
        file = local_checkpoint(source)
        read_checkpoint(file)
        node[key] = str(file)


def _sources(node: Any) -> Iterator[tuple[dict, str]]:
    """Each dictionary of a nested config that names a file, and the key."""
    if isinstance(node, dict):
        if node.get('type') == 'Pretrained' and node.get('checkpoint'):
            yield node, 'checkpoint'
        if isinstance(node.get('pretrained'), str):
            yield node, 'pretrained'
    if isinstance(node, dict | list | tuple):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _sources(child)
