"""``Instances``: fields by name and as attributes, instances by index."""
import pytest
import torch

from mmseg_instbox.core.instances import Instances


@pytest.fixture
def three() -> Instances:
    return Instances(metainfo=dict(num_left_out=2), scores=torch.tensor([0.9, 0.5, 0.1]),
                     labels=torch.tensor([3, 1, 2]))


def test_fields_and_what_is_said_of_all(three):
    assert len(three) == 3 and three.num_left_out == 2
    assert three['labels'] is three.labels and 'labels' in three and 'masks' not in three
    assert not hasattr(three, 'masks')


@pytest.mark.parametrize('index', [
    torch.tensor([True, False, True]), torch.tensor([0, 2]), slice(0, 3, 2)])
def test_some_of_them(three, index):
    some = three[index]
    assert some.labels.tolist() == [3, 2] and len(some) == 2 and some.num_left_out == 2
    assert len(three[:0]) == 0 and len(Instances()) == 0


def test_a_dictionary_of_all(three):
    assert set(three.to_dict()) == {'num_left_out', 'scores', 'labels'}
