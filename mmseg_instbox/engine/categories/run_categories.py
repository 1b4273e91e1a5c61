"""One source for the categories of a run: the metainfo of its data sets."""
from collections.abc import Iterator

from mmengine.config import Config
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS, MODELS

from ...datasets import InstBoxDataset
from ...errors import InvalidInputError
from ...models import InstBoxSegmentor
from ...utils import walk

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def settle_categories(cfg: Config) -> None:
    """Take the number of categories and the things of the model from the data sets.

    ``num_classes`` of the decode heads and ``thing_ids`` of the segmentor are set where the config
    does not; the metrics take theirs from the data sets anyway.

    Args:
        cfg: The config of a run, changed in place. A config without data sets stays as it is.

    Raises:
        ValueError: The data sets differ in their categories, or the model states others.
    """
    found = [each for loader in DATALOADERS for each in _metas(cfg, loader)]
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
    for name, head in _heads(model):
        count = head.setdefault('num_classes', len(classes))
        # an auxiliary head may learn something else, such as the borders of STDC
        if name == 'model.decode_head' and count != len(classes):
            raise InvalidInputError(f'{name}.num_classes is {count}, but {place} has '
                                    f'the {len(classes)} classes {_short(classes)}. Leave out '
                                    'num_classes, or correct one of them.')
    kind = MODELS.get(model.type) if isinstance(model.get('type'), str) else model.get('type')
    if 'thing_classes' in meta and isinstance(kind, type) and issubclass(kind, InstBoxSegmentor):
        ids = [classes.index(name) for name in meta['thing_classes']]
        given = model.get('thing_ids')
        if given is not None and list(given) != ids:
            raise InvalidInputError(f'model.thing_ids is {list(given)}, but {place} has the '
                                    f'thing_classes {_short(meta["thing_classes"])}, whose indices '
                                    f'are {ids}. Leave out thing_ids, or correct one of them.')
        model.thing_ids = ids


def _metas(cfg: Config, loader: str) -> Iterator[tuple[str, dict]]:
    """The metainfo of each data set of a loader, without reading the data."""
    for place, _, node in walk((cfg.get(loader) or {}).get('dataset'), f'{loader}.dataset'):
        if not isinstance(node, dict) or '.pipeline' in place:
            continue
        kind = node.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, BaseSegDataset):
            meta = dict(kind.METAINFO) | dict(node.get('metainfo') or {})
            if issubclass(kind, InstBoxDataset):  # others may read files when they are built
                meta = DATASETS.build(dict(node, pipeline=[], lazy_init=True)).metainfo
            if meta.get('classes'):
                yield place, meta


def _heads(model: dict) -> Iterator[tuple[str, dict]]:
    """The decode heads of a model."""
    for key in ('decode_head', 'auxiliary_head'):
        value = model.get(key)
        heads = value if isinstance(value, list | tuple) else [value]
        for index, head in enumerate(heads):
            if isinstance(head, dict):
                yield f'model.{key}[{index}]' if value is not head else f'model.{key}', head


def _short(names: object) -> str:
    """Names for a message."""
    names = [*map(str, names or ())]
    return f'({", ".join(names[:8])}{", ..." if len(names) > 8 else ""})'
