"""Groupers without a registry: the classes, and that they are those of the registry."""
import pytest
import torch
from mmseg.registry import TASK_UTILS

from mmseg_instbox.core.groupers import GROUPERS, build_grouper
from mmseg_instbox.core.instances import Instances
from mmseg_instbox.errors import InvalidInputError

SCORES = torch.tensor([0.1, 0.9])[:, None, None].expand(2, 4, 6)
BOXES = torch.tensor([0., 0, 48, 32])[:, None, None].expand(4, 4, 6)


@pytest.mark.parametrize('name', sorted(GROUPERS))
def test_results_are_those_of_the_registered_class(name):
    registered = TASK_UTILS.build(dict(type=name))
    assert isinstance(registered, GROUPERS[name])
    plain = build_grouper(dict(type=name))
    expected, found = (grouper(SCORES, BOXES, (32, 48), [1]) for grouper in (registered, plain))
    assert isinstance(found, Instances) and not isinstance(expected, Instances)
    assert len(found) == len(expected) == 1 and found.num_invalid == 0
    for key in ('masks', 'labels', 'scores', 'bboxes'):
        assert torch.equal(found[key], expected[key])


def test_options_reach_the_grouper():
    assert build_grouper(dict(type='mmseg.PixelBoxGrouper', min_gain=0.3)).min_gain == 0.3


@pytest.mark.parametrize('config, sentence', [
    (dict(type='Other'), "no grouper 'Other'"), ({}, "no grouper 'None'"),
    (dict(type='PixelBoxGrouper', colour='red'), 'does not take these options'),
    (dict(type='PixelBoxGrouper', bin_size=-1), 'bin_size > 0')])
def test_what_cannot_be_is_refused(config, sentence):
    with pytest.raises(InvalidInputError, match=sentence):
        build_grouper(config)


def test_a_limit_on_masks_is_told(caplog):
    grouper = build_grouper(dict(type='PixelBoxGrouper', max_mask_bytes=1))
    found = grouper(SCORES, BOXES, (32, 48), [1])
    assert len(found) == 0 and found.num_left_out == 1
    assert '1 of 1 instances, those of lowest score, are left out' in caplog.text
