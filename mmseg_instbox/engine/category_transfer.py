"""Gives a model other categories, and keeps what it knows of those that stay."""
import copy
from collections.abc import Mapping, Sequence

import torch
from mmengine.config import Config
from torch import Tensor

from ..errors import InvalidInputError
from ..utils import walk
from .checkpoints import weights_of
from .model_loading import build_network, read_model


def start_from(base: str, classes: Sequence[str], allow_pickle: bool = False,
               alike: Mapping[str, str] = {}
               ) -> tuple[dict, dict[str, Tensor] | None, dict[str, str]]:
    """A model for other categories that starts from a trained one.

    All categories but the first, the background, become things.

    Args:
        base: The trained model, as :func:`.load_model` takes ``model``.
        classes: Names of the new categories, the background first.
        allow_pickle: Trust the checkpoint, see :func:`.load_model`.
        alike: As of :func:`transfer_weights`.

    Returns:
        tuple: The config of the model; its weights, float32, or None if ``base`` has none; and
        by name of a new category that of the old one whose weights it got.

    Raises:
        ValueError: ``base`` is no segmentor of ours or cannot be loaded.
    """
    cfg, checkpoint, source = read_model(base, None, allow_pickle)
    model = copy.deepcopy(cfg.get('model') or {})
    before = (model.get('decode_head') or {}).get('num_classes')
    if before is None or 'box_head' not in model:
        raise InvalidInputError(f'--base {base} has no decode_head with num_classes or no '
                                'box_head: give the config or checkpoint of an InstBoxSegmentor.')
    model.pop('thing_ids', None)
    wider, model = (_with_categories(model, len(classes) + more) for more in (1, 0))
    if checkpoint is None:
        return model, None, {}
    meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    names = list(meta.get('classes') or ())
    if len(names) != before:  # only the background is known
        names = ['background', *[''] * (before - 1)]
    fresh, wider = (build_network(Config(dict(model=each))).state_dict()
                    for each in (model, wider))
    weights, kept = transfer_weights(weights_of(checkpoint, source), fresh, wider, names, classes,
                                     source, alike)
    return model, weights, kept


def _with_categories(model: dict, count: int) -> dict:
    """The config of the model with another number of categories."""
    model = copy.deepcopy(model)
    for _, _, node in walk(model):
        if isinstance(node, dict) and 'num_classes' in node:
            node['num_classes'] = count
    return model


def transfer_weights(state: dict[str, Tensor], fresh: dict[str, Tensor], wider: dict[str, Tensor],
                     old: Sequence[str], new: Sequence[str], source: str = 'The base model',
                     alike: Mapping[str, str] = {}
                     ) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Fit weights to other categories.

    A weight depends on the categories if its shape does. They are then the last entries of one of
    its dimensions: the rows of a classifier, or the inputs of a layer that reads logits. Entries of
    categories that both models name, in upper or lower case, are copied, and so are those of other
    inputs. A category that only the new model names gets those of one that it is ``alike``. The
    rest stays as it is in ``fresh``.

    Args:
        state: The weights of the old model, which the error calls ``source``.
        fresh: Those that the new model has before training.
        wider: Those of a model with one category more; only their shapes count.
        old: Names of the old model's categories; '' where unknown.
        new: Names of the new ones.
        alike: Name of an old category by name of a new one.

    Returns:
        tuple: Weights of the new model in the types of ``fresh``; and by name of a new category
        that of the old one whose weights it got.

    Raises:
        ValueError: A weight has another shape in the old model.
    """
    places = {name.casefold(): index for index, name in enumerate(old) if name}
    known_as = [name.casefold() if name.casefold() in places else alike.get(name, '').casefold()
                for name in new]
    pairs = [(places[name], index) for index, name in enumerate(known_as) if name in places]
    result = {}
    for key, value in fresh.items():
        axes = [axis for axis, size in enumerate(value.shape) if size != wider[key].shape[axis]]
        expected = list(value.shape)
        for axis in axes:
            expected[axis] += len(old) - len(new)
        known = state.get(key, value if not axes else None)
        if known is None or list(known.shape) != expected or len(axes) > 1:
            found = 'no weights' if known is None else f'weights of shape {tuple(known.shape)}'
            raise InvalidInputError(f'{source} has {found} {key}, expected {tuple(expected)}: its '
                                    'config and its weights do not belong together.')
        result[key] = known = known.to(value.dtype)
        for axis in axes:
            others = value.shape[axis] - len(new)
            kept = [*((i, i) for i in range(others)),
                    *((others + before, others + after) for before, after in pairs)]
            sources, targets = torch.tensor(kept, dtype=torch.long).reshape(-1, 2).T
            result[key] = value.index_copy(axis, targets, known.index_select(axis, sources))
    return result, {new[after]: old[before] for before, after in pairs}
