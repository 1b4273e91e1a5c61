"""``Instances``: fields by name and as attributes, instances by index; masks kept as a map."""
import copy
import pickle

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmseg_instbox.core.instances import InstanceMasks, Instances, find_boxes


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


NUMBERS = torch.tensor([0, 2, 4, 3])


@pytest.fixture
def inst_map() -> torch.Tensor:
    return torch.randint(0, 4, (13, 17)).to(torch.int16)  # without a 4


@pytest.fixture
def masks(inst_map) -> InstanceMasks:
    return InstanceMasks(inst_map, NUMBERS)


@pytest.fixture
def planes(inst_map) -> torch.Tensor:
    return torch.stack([inst_map == number for number in NUMBERS])


def test_masks_are_the_tensor_that_tools_read(masks, planes):
    assert isinstance(masks, torch.Tensor) and masks.dtype == torch.bool
    assert masks.shape == planes.shape and len(masks) == 4 and masks.device == planes.device
    assert masks.inst_map is not None and 'shape=(4, 13, 17)' in repr(masks)
    assert torch.equal(masks, planes) and masks.inst_map is None


@pytest.mark.parametrize('read', [
    lambda masks: masks.numpy(), np.asarray, lambda masks: masks.detach().cpu().numpy(),
    lambda masks: masks.sum(dim=(1, 2)), lambda masks: torch.stack(list(masks)), torch.clone,
    lambda masks: masks.float(), lambda masks: masks[1], lambda masks: masks[:, 3:5],
    lambda masks: masks[masks.flatten(1).any(1)], lambda masks: torch.cat([masks, masks]),
    lambda masks: masks & masks[0], lambda masks: masks.to(torch.uint8)])
def test_what_reads_pixels_gives_what_it_gives_of_a_plain_tensor(read, masks, planes):
    found, expected = read(masks), read(planes)
    assert type(found) is type(expected) and found.dtype == expected.dtype
    assert np.array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize('index', [
    torch.tensor([True, False, True, True]), torch.tensor([3, 0]), slice(1, 3), slice(0, 0),
    np.array([2, 3])])
def test_some_masks_stay_a_map(index, masks, planes):
    some = masks[index]
    assert isinstance(some, InstanceMasks) and some.inst_map is masks.inst_map
    assert some.boxes.tolist() == masks.boxes[index].tolist()
    assert torch.equal(some, planes[index])


@pytest.mark.parametrize('copied', [
    lambda masks: masks.detach(), lambda masks: masks.to('cpu'), lambda masks: masks.cpu(),
    copy.deepcopy, lambda masks: pickle.loads(pickle.dumps(masks))])
def test_copies_stay_a_map(copied, masks, planes):
    again = copied(masks)
    assert isinstance(again, InstanceMasks) and again.inst_map is not None
    assert masks.inst_map is not None and torch.equal(again, planes)


def test_what_is_written_is_read_later(masks, planes):
    masks[1] = False
    planes[1] = False
    for each in (masks, masks[:2], copy.deepcopy(masks), pickle.loads(pickle.dumps(masks))):
        assert torch.equal(each, planes[:len(each)])


def test_instance_data_keeps_the_map(masks, planes):
    data = InstanceData(masks=masks, scores=torch.rand(4))
    for each in (data.cpu(), data.detach(), data.to('cpu'), data[data.scores >= 0], data[:4],
                 data.clone(), pickle.loads(pickle.dumps(data))):
        assert len(each) == 4 and each.masks.inst_map is not None
    assert masks.inst_map is not None and set(data.keys()) == {'masks', 'scores'}
    assert data.to_dict()['masks'] is masks
    assert np.array_equal(data.numpy().masks, planes.numpy())


def test_boxes_by_loops():
    inst_map = torch.randint(0, 40, (13, 17)) * (torch.rand(13, 17) < 0.2)
    numbers = torch.tensor([7, 0, 50, *range(8, 39)])
    boxes = find_boxes(inst_map, numbers)
    assert boxes.dtype == torch.int64 and boxes.shape == (34, 4)
    for number, box in zip(numbers, boxes.tolist(), strict=True):
        ys, xs = (inst_map == number).nonzero().T.tolist()
        assert box == ([min(xs), min(ys), max(xs) + 1, max(ys) + 1] if ys else [0, 0, 0, 0])
    assert find_boxes(inst_map, numbers[:0]).shape == (0, 4)
    assert find_boxes(torch.full((3, 5), 2), torch.tensor([2])).tolist() == [[0, 0, 5, 3]]
