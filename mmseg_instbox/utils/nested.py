"""Goes through nested containers: configs, states of optimizers, contents of checkpoints."""
from collections.abc import Iterator
from typing import Any


def walk(value: Any, place: str = '', key: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Every value in nested dictionaries, lists, tuples and sets, ``value`` first.

    A container is yielded before what is in it, so that the caller may change its values.

    Yields:
        tuple[str, Any, Any]: The place, such as ``'cfg.model.heads[0]'`` where ``value`` is called
        ``'cfg'``, the key or index, and the value.
    """
    yield place, key, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from walk(item, f'{place}.{name}' if place else str(name), name)
    elif isinstance(value, list | tuple | set):
        for index, item in enumerate(value):
            yield from walk(item, f'{place}[{index}]', index)
