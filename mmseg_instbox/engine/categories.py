"""The categories of a model and of a run; the metainfo of the data sets is their one source."""
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS
from torch import nn

from ..datasets import InstBoxDataset
from ..errors import InvalidInputError
from ..models import InstBoxSegmentor
from ..utils import walk
from ..utils.foreign_errors import convert_errors, first_few
from .config_io import DATALOADERS


def complete_dataset_meta(meta: dict, cfg: Config, network: nn.Module) -> dict:
    """Names and colours of a model's categories: from ``meta`` of its checkpoint, else from the
    data sets of its config, that of the test first.

    Returns:
        dict: ``classes`` and ``thing_classes``, tuples of names, ``palette``, a list of RGB values
        from 0 to 255, and everything else in ``dataset_meta`` of the checkpoint.

    Raises:
        InvalidInputError: There are no names, more or fewer than categories of ``network``, they
            are not strings, or the palette is not a list of colours.
    """
    with convert_errors('The names of the categories in the checkpoint or the config are not a '
                        'list of names'):
        found = dict(meta.get('dataset_meta') or {})
        if not found.get('classes'):
            configured = (_configured_meta(kind, node)
                          for _, kind, node in _datasets(cfg, reversed(DATALOADERS)))
            found = next((each for each in configured if each.get('classes')), {})
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
    """Take the number of categories and the things of the model from the data sets, in place.

    ``num_classes`` of the decode heads and ``thing_ids`` of the segmentor are set where the config
    does not. A config whose data sets have no categories stays as it is.

    Raises:
        InvalidInputError: The data sets differ in their categories, or the model has others.
    """
    place, meta = _categories_of_data(cfg)
    if not meta:
        return
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
                                f'{len(classes)} classes ({first_few(classes, 8)}). Leave out '
                                'num_classes, or correct one of them.')
    kind = MODELS.get(model.type) if isinstance(model.get('type'), str) else model.get('type')
    if 'thing_classes' in meta and isinstance(kind, type) and issubclass(kind, InstBoxSegmentor):
        ids = [classes.index(name) for name in meta['thing_classes']]
        given = model.get('thing_ids')
        if given is not None and list(given) != ids:
            raise InvalidInputError(f'model.thing_ids is {list(given)}, but {place} has the '
                                    f'thing_classes ({first_few(meta["thing_classes"], 8)}), whose '
                                    f'indices are {ids}. Leave out thing_ids, or correct one of '
                                    'them.')
        model.thing_ids = ids


def _categories_of_data(cfg: Config) -> tuple[str, dict]:
    """Place and metainfo of the first data set with categories, which all others must equal."""
    first, first_meta = '', {}
    for place, kind, node in _datasets(cfg, DATALOADERS):
        meta = _configured_meta(kind, node)
        if isinstance(kind, type) and issubclass(kind, InstBoxDataset):
            meta = DATASETS.build(dict(node, pipeline=[], lazy_init=True)).metainfo
        if not meta.get('classes'):
            continue
        if not first:
            first, first_meta = place, meta
        for key in ('classes', 'thing_classes'):
            expected, found = first_meta.get(key) or (), meta.get(key) or ()
            if list(found) != list(expected):
                raise InvalidInputError(
                    f'{first} has the {key} ({first_few(expected, 8)}), but {place} has '
                    f'({first_few(found, 8)}). Give both the same metainfo.')
    return first, first_meta


def _datasets(cfg: Config, loaders: Iterable[str]) -> Iterator[tuple[str, Any, dict]]:
    """Place, class and settings of each data set of some loaders, wrapped ones included."""
    for loader in loaders:
        for place, _, node in walk((cfg.get(loader) or {}).get('dataset'), f'{loader}.dataset'):
            if isinstance(node, dict) and 'type' in node and '.pipeline' not in place:
                kind = node['type']
                yield place, DATASETS.get(kind) if isinstance(kind, str) else kind, node


def _configured_meta(kind: Any, node: dict) -> dict:
    """The metainfo in the class and the settings of a data set, which is not built."""
    own, given = dict(getattr(kind, 'METAINFO', {})), dict(node.get('metainfo') or {})
    if 'classes' in given:  # other categories: neither things nor colours of the class fit
        own = {}
    return own | given
