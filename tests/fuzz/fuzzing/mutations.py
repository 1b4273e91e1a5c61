"""Damage to bytes, texts and trees of data; each a pure function of its input and a generator."""
import copy
from typing import Any

import numpy as np

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)
ODD_VALUES = (
    None, True, False, -1, 0, 1, 255, 256, 10**6, 2**31, 2**63, 10**30, -0.5, 1e308,
    float('nan'), float('inf'), '', 'x', '0', '\x00', 'é' * 300, '../../etc/passwd', '/etc/passwd',
    'C:\\x.jpg', 'http://127.0.0.1:9/x.jpg', [], {}, [[]], [None], [0, 0, 0, 0], {'id': 1},
    [1e9] * 8, {'size': [1, 1], 'counts': [1]}, {'size': 5, 'counts': 'o' * 2000})


def pick(rng: np.random.Generator, choices: Any) -> Any:
    """One of some choices, as it is."""
    return choices[int(rng.integers(len(choices)))]


def mutate_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage bytes in one to four places."""
    for _ in range(int(rng.integers(1, 5))):
        data = pick(rng, (_flip, _flip, _overwrite, _number, _cut, _remove, _repeat, _insert))(
            bytearray(data), rng)
    return bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """A place, often near the beginning, where headers are."""
    size = max(len(data), 1)
    return int(rng.integers(size if rng.random() < 0.6 else min(size, 64)))


def _length(rng: np.random.Generator) -> int:
    return int(2**rng.uniform(0, 8))


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    if data:
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _overwrite(data: bytearray, rng: np.random.Generator) -> bytearray:
    place, length = _place(data, rng), _length(rng)
    return data[:place] + rng.bytes(length) + data[place + length:]


def _number(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A number at the edge of a type, as headers have them for sizes."""
    width, order = pick(rng, (1, 2, 4)), pick(rng, ('big', 'little'))
    number = (pick(rng, NUMBERS) % 256**width).to_bytes(width, order)
    place = _place(data, rng)
    return data[:place] + number + data[place + width:]


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[:int(rng.integers(len(data) + 1))] if rng.random() < 0.5 else data


def _remove(data: bytearray, rng: np.random.Generator) -> bytearray:
    place = _place(data, rng)
    return data[:place] + data[place + _length(rng):]


def _repeat(data: bytearray, rng: np.random.Generator) -> bytearray:
    place, length = _place(data, rng), _length(rng)
    return data[:place + length] + data[place:]


def _insert(data: bytearray, rng: np.random.Generator) -> bytearray:
    place = _place(data, rng)
    return data[:place] + rng.bytes(_length(rng)) + data[place:]


def mutate_tree(tree: Any, rng: np.random.Generator, places: int = 3) -> Any:
    """Damage nested dictionaries and lists in one to ``places`` places.

    Args:
        tree: It is left as it is.
        rng: Of the choices.
        places: Most changes that are made.

    Returns:
        A damaged copy: keys that are missing, values of other types and sizes, parts that are
        repeated or stand elsewhere.
    """
    tree = copy.deepcopy(tree)
    for _ in range(int(rng.integers(1, places + 1))):
        nodes = [node for node in _nodes(tree) if node]
        if not nodes:
            return tree
        _change(pick(rng, nodes), nodes, rng)
    return tree


def _nodes(tree: Any) -> list:
    """All dictionaries and lists of a tree."""
    found = []
    if isinstance(tree, dict | list):
        found.append(tree)
        for child in tree.values() if isinstance(tree, dict) else tree:
            found += _nodes(child)
    return found


def _change(node: dict | list, nodes: list, rng: np.random.Generator) -> None:
    key = pick(rng, list(node) if isinstance(node, dict) else range(len(node)))
    kind = rng.random()
    if kind < 0.2:
        del node[key]
    elif kind < 0.3:
        node[key] = copy.deepcopy(pick(rng, nodes))
    elif kind < 0.4 and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    elif kind < 0.6 and isinstance(node[key], int | float):
        node[key] = node[key] * pick(rng, (-1, 0.5, 2, 10, 1000)) + pick(rng, (-1, 0, 1))
    elif kind < 0.65:
        node[key] = _deep(int(rng.integers(2, 60)))
    else:
        node[key] = copy.deepcopy(pick(rng, ODD_VALUES))


def _deep(depth: int) -> list:
    nested: list = []
    for _ in range(depth):
        nested = [nested]
    return nested
