"""The categories of a model and of a run; the metainfo of the data sets is their one source."""
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS
from torch import nn

from ..datasets import InstBoxDataset
from ..errors import InvalidInputError
from ..models import InstBoxSegmentor
from ..utils import walk
from ..utils.foreign_errors import convert_errors

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def complete_dataset_meta(meta: dict, cfg: Config, network: nn.Module) -> dict:
    """Names and colours of a model's categories, from its checkpoint, else from the config.

    Args:
        meta: ``meta`` of the checkpoint; its ``dataset_meta`` comes first.
        cfg: The config, whose data sets come next, those of the test first.
        network: The segmentor, which knows how many categories it has, and which are things.

    Returns:
        dict: ``classes`` and ``thing_classes``, tuples of names, ``palette``, a list of RGB values
        from 0 to 255, and what else ``dataset_meta`` holds.

    Raises:
        InvalidInputError: There are no names, their number differs from that of the categories,
            they are not strings, or the palette is not a list of colours.
    """
    with convert_errors('The names of the categories in the checkpoint or the config are not a '
                        'list of names', TypeError, ValueError, KeyError, AttributeError):
        found = dict(meta.get('dataset_meta') or {})
        configured = (_stated(kind, node) for loader in reversed(DATALOADERS)
                      for _, kind, node in _datasets(cfg, loader))
        if not found.get('classes'):
            found = next((its for its in configured if its.get('classes')), {})
        classes = found.get('classes') or ()
        if not isinstance(classes, list | tuple) or not all(isinstance(c, str) for c in classes):
            raise InvalidInputError('The names of the categories are '
                                    f'{str(classes)[:100]!r}, expected a list of names.')
    classes, count = tuple(classes), network.num_classes
    if len(classes) != count:
        have = f'{len(classes)} names' if classes else 'no names'
        raise InvalidInputError(f'The model has {count} categories, but checkpoint and config have '
                                f'{have} for them: add metainfo=dict(classes=(...)) to '
                                'test_dataloader.dataset of the config.')
    palette = found.get('palette')
    if not isinstance(palette, list | tuple | np.ndarray) or len(palette) != count:
        palette = np.random.RandomState(42).randint(0, 255, (count, 3))  # as mmseg does
    with convert_errors('The palette is not a list of RGB values from 0 to 255'):
        colours = np.array(palette, np.uint8).reshape(count, 3).tolist()
    things = tuple(classes[index] for index in getattr(network, 'thing_ids', ()))
    return found | dict(classes=classes, thing_classes=things, palette=colours)


def settle_categories(cfg: Config) -> None:
    """Take the number of categories and the things of the model from the data sets.

    ``num_classes`` of the decode heads and ``thing_ids`` of the segmentor are set where the config
    does not; the metrics take theirs from the data sets anyway.

    Args:
        cfg: The config of a run, changed in place. A config without data sets stays as it is.

    Raises:
        InvalidInputError: The data sets differ in their categories, or the model states others.
    """
    found = []
    for loader in DATALOADERS:
        for place, kind, node in _datasets(cfg, loader):
            meta = _stated(kind, node)
            if isinstance(kind, type) and issubclass(kind, InstBoxDataset):
                meta = DATASETS.build(dict(node, pipeline=[], lazy_init=True)).metainfo
            if meta.get('classes'):
                found.append((place, meta))
    if not found:
        return
    place, meta = found[0]
    for other, its in found[1:]:
        for key in ('classes', 'thing_classes'):
            if list(its.get(key) or ()) != list(meta.get(key) or ()):
                raise InvalidInputError(f'{place} has the {key} {_short(meta.get(key))}, but '
                                        f'{other} has {_short(its.get(key))}. Give both the same '
                                        'metainfo.')
    model, classes = cfg.model, list(meta['classes'])
    for key in ('decode_head', 'auxiliary_head'):
        heads = model.get(key)
        for head in heads if isinstance(heads, list | tuple) else [heads]:
            if isinstance(head, dict):
                head.setdefault('num_classes', len(classes))
    # an auxiliary head may learn something else, such as the borders of STDC
    if isinstance(model.get('decode_head'), dict) and (
            count := model.decode_head.num_classes) != len(classes):
        raise InvalidInputError(f'model.decode_head.num_classes is {count}, but {place} has the '
                                f'{len(classes)} classes {_short(classes)}. Leave out num_classes, '
                                'or correct one of them.')
    kind = MODELS.get(model.type) if isinstance(model.get('type'), str) else model.get('type')
    if 'thing_classes' in meta and isinstance(kind, type) and issubclass(kind, InstBoxSegmentor):
        ids = [classes.index(name) for name in meta['thing_classes']]
        given = model.get('thing_ids')
        if given is not None and list(given) != ids:
            raise InvalidInputError(f'model.thing_ids is {list(given)}, but {place} has the '
                                    f'thing_classes {_short(meta["thing_classes"])}, whose indices '
                                    f'are {ids}. Leave out thing_ids, or correct one of them.')
        model.thing_ids = ids


def _datasets(cfg: Config, loader: str) -> Iterator[tuple[str, Any, dict]]:
    """Place, class and settings of each data set of a loader, those that others wrap included."""
    for place, _, node in walk((cfg.get(loader) or {}).get('dataset'), f'{loader}.dataset'):
        if isinstance(node, dict) and 'type' in node and '.pipeline' not in place:
            kind = node['type']
            yield place, DATASETS.get(kind) if isinstance(kind, str) else kind, node


def _stated(kind: Any, node: dict) -> dict:
    """What the class and the settings of a data set say of its categories; nothing is built."""
    own, given = dict(getattr(kind, 'METAINFO', {})), dict(node.get('metainfo') or {})
    if 'classes' in given:  # other categories: neither things nor colours of the class fit
        own = {}
    return own | given


def _short(names: object) -> str:
    """Names for a message."""
    names = [*map(str, names or ())]
    return f'({", ".join(names[:8])}{", ..." if len(names) > 8 else ""})'
