"""The pictures kept in memory."""
import pytest

from mmseg_instbox.web.scene_store import SceneStore


def test_the_picture_longest_unused_goes_first():
    store = SceneStore(capacity=2)
    first, second = store.add('a'), store.add('b')
    assert store.get(first) == 'a'  # used again, so the second is now the older one
    third = store.add('c')
    assert len(store) == 2
    assert (store.get(first), store.get(second), store.get(third)) == ('a', None, 'c')


def test_dropped_and_unknown_keys_give_nothing():
    store = SceneStore()
    key = store.add('a')
    store.drop(key)
    store.drop(key)
    store.drop(None)
    assert store.get(key) is None and store.get('unknown') is None and len(store) == 0


def test_keys_differ_and_cannot_be_guessed():
    store = SceneStore(capacity=100)
    keys = {store.add('a') for _ in range(50)}
    assert len(keys) == 50 and min(map(len, keys)) == 32


def test_capacity_is_at_least_one():
    with pytest.raises(ValueError, match='capacity=0'):
        SceneStore(0)
