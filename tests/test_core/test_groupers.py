"""Groupers by their config, and that the classes are those of the registry."""
import pytest
import torch
from mmseg.registry import TASK_UTILS

from mmseg_instbox.core.groupers import GROUPERS, build_grouper
from mmseg_instbox.errors import InvalidInputError

PROBS = torch.tensor([0.1, 0.9])[:, None, None].expand(2, 4, 6)
BOXES = torch.tensor([0., 0, 48, 32])[:, None, None].expand(4, 4, 6)


@pytest.mark.parametrize('name', sorted(GROUPERS))
def test_the_classes_are_registered(name):
    assert type(TASK_UTILS.build(dict(type=name))) is GROUPERS[name]
    found = build_grouper(dict(type=name))(PROBS, BOXES, (32, 48), [1])
    assert len(found) == 1 and found.num_invalid == 0


class OwnGrouper(GROUPERS['PixelBoxGrouper']):
    """A grouper that a user wrote."""


@pytest.mark.parametrize('config, find', [
    (dict(type=OwnGrouper), GROUPERS.get),
    (dict(type='OwnGrouper'), dict(OwnGrouper=OwnGrouper).get)])
def test_a_grouper_of_a_user_is_built_by_class_and_by_name(config, find):
    assert type(build_grouper(dict(config, min_gain=0.5), find)) is OwnGrouper


def test_options_reach_the_grouper():
    for find in (GROUPERS.get, TASK_UTILS.get):
        config = dict(type='mmseg.PixelBoxGrouper', min_gain=0.3)
        assert build_grouper(config, find).min_gain == 0.3
        assert len(config) == 2


@pytest.mark.parametrize('find', [GROUPERS.get, TASK_UTILS.get])
@pytest.mark.parametrize('config, sentence', [
    (dict(type='Other'), "no grouper 'Other'"), ({}, 'no grouper None'),
    (dict(type='PixelBoxGrouper', colour='red'), "'red'.* cannot be built .*'colour'"),
    (dict(type='PixelBoxGrouper', bin_size=-1), 'bin_size > 0')])
def test_impossible_configs_are_refused(config, sentence, find):
    with pytest.raises(InvalidInputError, match=sentence):
        build_grouper(config, find)


def test_a_limit_on_masks_is_logged(caplog):
    grouper = build_grouper(dict(type='PixelBoxGrouper', max_mask_bytes=1))
    found = grouper(PROBS, BOXES, (32, 48), [1])
    assert len(found) == 0 and found.num_left_out == 1
    assert '1 of 1 instances, those of lowest score, are left out' in caplog.text
