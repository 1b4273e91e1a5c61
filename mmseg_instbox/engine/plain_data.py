"""Turns what MMEngine adds to a checkpoint into types that load weights-only, and back."""
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.Size, torch.dtype,
         torch.device)


def to_plain(value: Any) -> Any:
    """Express histories, arrays, NumPy's numbers and paths by dictionaries, tensors and numbers.

    Dictionaries, lists and tuples are copied, subclasses of theirs as what they derive from;
    anything else stays as it is (see :func:`not_plain`).
    """
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {'$history': [torch.tensor(log), torch.tensor(count), value.max_length]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
        return {'$array': torch.tensor(value)}
    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        items = [to_plain(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return str(value) if isinstance(value, Path) else value


def from_plain(value: Any) -> Any:
    """The histories and arrays that :func:`to_plain` was given; the rest as it is."""
    if isinstance(value, dict):
        if value.keys() == {'$history'}:
            log, count, max_length = value['$history']
            return HistoryBuffer(log.cpu().numpy(), count.cpu().numpy(), max_length)
        if value.keys() == {'$array'}:
            return value['$array'].cpu().numpy()
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        items = [from_plain(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def not_plain(value: Any, place: str = 'checkpoint') -> Iterator[str]:
    """Where in a nested value stands what a weights-only reader refuses, and what it is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from not_plain(item, f'{place}[{key!r}]')
    elif type(value) in (list, tuple, set):
        for index, item in enumerate(value):
            yield from not_plain(item, f'{place}[{index}]')
    elif not isinstance(value, PLAIN) or isinstance(value, np.generic):
        yield f'{place} is a {type(value).__module__}.{type(value).__qualname__}'
