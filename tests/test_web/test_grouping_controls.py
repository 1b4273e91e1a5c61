"""Sliders for the options of a grouper."""
import inspect

import pytest

from mmseg_instbox.models.task_modules import BoxNMSGrouper, CentreGrouper, PixelBoxGrouper
from mmseg_instbox.web.grouping_controls import grouping_controls, grouping_options


@pytest.mark.parametrize('grouper', [
    PixelBoxGrouper(), PixelBoxGrouper(min_gain=0.9, merge_iou=0.05, num_smooth=7, bin_size=2),
    BoxNMSGrouper(box_iou_thr=0.4), CentreGrouper()])
def test_controls_are_the_groupers_options_with_its_own_values(grouper):
    controls = grouping_controls(grouper)
    assert controls
    known = inspect.signature(type(grouper).__init__).parameters
    for control in controls:
        assert control.name in known
        assert control.default == getattr(grouper, control.name)
        assert control.minimum <= control.default <= control.maximum


@pytest.mark.parametrize('kind', [PixelBoxGrouper, BoxNMSGrouper, CentreGrouper])
@pytest.mark.parametrize('end', ['minimum', 'maximum', 'default'])
def test_both_ends_of_every_slider_are_taken_by_the_grouper(kind, end):
    controls = grouping_controls(kind())
    options = grouping_options(controls, tuple(float(getattr(each, end)) for each in controls))
    grouper = kind(**options)
    assert all(getattr(grouper, name) == value for name, value in options.items())


def test_whole_numbers_stay_whole_and_others_do_not():
    controls = grouping_controls(PixelBoxGrouper(bin_size=1))
    options = grouping_options(controls, tuple(0.5 for _ in controls))
    assert options['bin_size'] == 0.5
    assert options['num_smooth'] == 0 and isinstance(options['num_smooth'], int)
