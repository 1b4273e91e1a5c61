"""Goes through nested containers: configs, states of optimizers, contents of checkpoints."""
from collections.abc import Iterator
from typing import Any


def walk(value: Any, place: str = '', key: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Yields place, key and value of everything in nested containers, ``value`` first.

    The place is such as ``'cfg.model.heads[0]'`` where ``value`` is called ``'cfg'``. A container
    comes before what is in it, so that the caller may change its values.
    """
    yield place, key, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from walk(item, f'{place}.{name}' if place else str(name), name)
    elif isinstance(value, list | tuple | set):
        for index, item in enumerate(value):
            yield from walk(item, f'{place}[{index}]', index)
