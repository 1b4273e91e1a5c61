"""Core's groupers in MMSegmentation: their results and their log are MMEngine's."""
import logging

import pytest
import torch
from mmengine.structures import InstanceData

from mmseg_instbox.core.instances import Instances
from mmseg_instbox.models.task_modules import groupers
from mmseg_instbox.models.task_modules.groupers import to_instance_data


def test_instances_become_instance_data_with_their_metainfo():
    found = Instances(dict(num_invalid=3), scores=torch.tensor([0.9, 0.5]))
    data = to_instance_data(found)
    assert isinstance(data, InstanceData) and len(data) == 2
    assert data.scores is found.scores and data.num_invalid == 3
    assert 'num_invalid' in data.metainfo_keys()
    assert to_instance_data(data) is data


@pytest.mark.parametrize('level', [logging.WARNING, logging.ERROR])
def test_warnings_of_core_reach_the_log_of_mmengine(monkeypatch, level):
    messages = []
    monkeypatch.setattr(groupers, 'print_log', lambda *args: messages.append(args))
    logging.getLogger('mmseg_instbox.core.base_grouper').log(level, 'found %d', 7)
    assert messages == [('found 7', 'current', level)]
