"""What is wrong with a data sample is said in a sentence that names the image."""
import numpy as np
import pytest
import torch
from metric_samples import META, evaluate, make_sample
from mmengine.structures import PixelData

from mmseg_instbox.core.instances import InstanceMasks
from mmseg_instbox.evaluation.sample_reader import decode_image


@pytest.fixture
def sample():
    row = np.array([[1, 1, 0, 2]])
    return make_sample(row, [0, 1], [row == 1, row == 2], [0, 1], [.9, .8])


def spoil(sample, field, **values):
    for key, value in values.items():
        getattr(sample, field).set_field(value, key)


def test_the_sample_is_good_unless_spoilt(sample):
    assert evaluate([sample])['APr_0.5'] == 1.


def test_masks_kept_as_a_map_are_evaluated_as_they_are():
    rows = np.random.default_rng(0).integers(0, 3, (6, 9))
    one, other = (make_sample(rows, [0, 1], [(rows == 1) & (rows.cumsum(0) < 5), rows == 2], [0, 1],
                              [.9, .8]) for _ in range(2))
    inst_map = (other.pred_instances.masks * torch.tensor([3, 5])[:, None, None]).sum(dim=0)
    other.pred_instances.masks = InstanceMasks(inst_map, torch.tensor([3, 5]))
    planes, as_map = (decode_image(each.to_dict(), META) for each in (one, other))
    assert np.array_equal(planes.overlap.ious, as_map.overlap.ious)
    assert 0 < planes.overlap.ious.max() <= 1 and np.array_equal(planes.masks, as_map.masks)
    assert other.pred_instances.masks.inst_map is not None
    assert evaluate([one]) == evaluate([other])


@pytest.mark.parametrize('field, message', [
    ('pred_instances', 'has no pred_instances; .*InstBoxSegmentor'),
    ('pred_sem_seg', 'has no pred_sem_seg; .*InstBoxSegmentor'),
    ('gt_inst_map', 'has no gt_inst_map; .*LoadInstAnnotations'),
    ('gt_instances', 'has no gt_instances; .*PackInstInputs'),
])
def test_missing_field(sample, field, message):
    delattr(sample, field)
    with pytest.raises(ValueError, match=f'picture.jpg {message}'):
        evaluate([sample])


def test_missing_part_of_the_instances(sample):
    del sample.pred_instances.scores
    with pytest.raises(ValueError, match=r"picture.jpg lacks \['scores'\]"):
        evaluate([sample])


def test_masks_of_another_size(sample):
    spoil(sample, 'pred_instances', masks=torch.ones(2, 2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r'pred_instances.masks of picture.jpg has size \(2, 4\)'):
        evaluate([sample])


def test_category_map_of_another_size(sample):
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, 1, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match='pred_sem_seg of picture.jpg has size .* after resizing'):
        evaluate([sample])


@pytest.mark.parametrize('field, label', [('pred_instances', 2), ('pred_instances', -1),
                                          ('gt_instances', 2)])
def test_label_outside_the_things(sample, field, label):
    spoil(sample, field, labels=torch.tensor([0, label]))
    with pytest.raises(ValueError, match=rf'{field}.labels of picture.jpg holds \[{label}\], but '
                       'there are 2 thing_classes'):
        evaluate([sample])


@pytest.mark.parametrize('field', ['pred_sem_seg', 'gt_sem_seg'])
def test_category_outside_the_classes(sample, field):
    getattr(sample, field).data[0, 0, 3] = 4
    with pytest.raises(ValueError, match=rf'{field} of picture.jpg holds \[4\], .* 4 classes'):
        evaluate([sample])
