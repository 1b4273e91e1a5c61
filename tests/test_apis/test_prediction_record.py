import json

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmseg_instbox.apis.prediction_record import from_record, to_record


def random_sample(number, shape=(13, 17)):
    """A prediction of ``number`` instances of random pixels."""
    random = torch.Generator().manual_seed(number)
    sample = SegDataSample()
    categories = torch.randint(0, 21, (1, *shape), generator=random)
    sample.pred_sem_seg = PixelData(data=categories)
    sample.pred_instances = InstanceData(
        masks=torch.rand(number, *shape, generator=random) > 0.7,
        labels=torch.randint(0, 20, (number,), generator=random),
        scores=torch.rand(number, generator=random),
        bboxes=17 * torch.rand(number, 4, generator=random))
    return sample


@pytest.mark.parametrize('number', [0, 1, 5])
def test_a_prediction_comes_back_from_json_as_it_was(number):
    sample = random_sample(number)
    record = json.loads(json.dumps(to_record(sample)))
    back = from_record(record, name='a')
    assert back.name == 'a' and back.ori_shape == (13, 17)
    assert torch.equal(back.pred_sem_seg.data, sample.pred_sem_seg.data)
    for key in ('masks', 'labels', 'scores', 'bboxes'):
        before, after = sample.pred_instances[key], back.pred_instances[key]
        assert before.dtype == after.dtype and torch.equal(before, after)


def test_an_instance_without_pixels_is_kept():
    sample = random_sample(2)
    sample.pred_instances.masks[1] = False
    assert from_record(to_record(sample)).pred_instances.masks.flatten(1).any(1).tolist() == [
        True, False]
