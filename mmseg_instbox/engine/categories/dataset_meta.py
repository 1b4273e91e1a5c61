"""The names and colours of a model's categories."""
from collections.abc import Iterator

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS
from torch import nn

from ...errors import InvalidInputError
from ...utils import walk
from ...utils.foreign_errors import convert_errors

DATALOADERS = ('test_dataloader', 'val_dataloader', 'train_dataloader')


def complete_dataset_meta(meta: dict, cfg: Config, network: nn.Module) -> dict:
    """Names and colours of a model's categories, from its checkpoint, else from the config.

    Args:
        meta: ``meta`` of the checkpoint; its ``dataset_meta`` comes first.
        cfg: The config, whose data sets come next.
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
        if not found.get('classes'):
            found = next(_configured(cfg), {})
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
    with convert_errors('The palette is not a list of RGB values', TypeError, ValueError,
                        OverflowError):
        colours = [[int(value) for value in colour] for colour in palette]
        if not all(len(each) == 3 and 0 <= min(each) <= max(each) <= 255 for each in colours):
            raise InvalidInputError(f'The palette is {str(palette)[:100]}, expected three numbers '
                                    'from 0 to 255 for each category.')
    things = tuple(classes[index] for index in getattr(network, 'thing_ids', ()))
    return found | dict(classes=classes, thing_classes=things, palette=colours)


def _configured(cfg: Config) -> Iterator[dict]:
    """Meta information of the config's data sets that name categories, those of the test first."""
    for loader in DATALOADERS:
        for place, _, node in walk((cfg.get(loader) or {}).get('dataset'), 'dataset'):
            if not isinstance(node, dict) or 'type' not in node or '.pipeline' in place:
                continue
            own = dict(getattr(DATASETS.get(node['type']), 'METAINFO', {}))
            given = dict(node.get('metainfo') or {})
            if 'classes' in given:  # other categories: neither things nor colours of the class fit
                own = {}
            if (own | given).get('classes'):
                yield own | given
