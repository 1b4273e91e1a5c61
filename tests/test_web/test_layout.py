"""The sliders of the page: options of the grouper."""
import inspect

import pytest

gradio = pytest.importorskip('gradio', reason='the page needs the extra "demo"')

from mmseg_instbox.models.task_modules import (  # noqa: E402
    BoxNMSGrouper,
    CentreGrouper,
    PixelBoxGrouper,
)
from mmseg_instbox.web.layout import Page, find_samples, grouping_sliders  # noqa: E402


@pytest.mark.parametrize('grouper', [
    PixelBoxGrouper(), PixelBoxGrouper(min_gain=0.9, merge_iou=0.05, num_smooth=7, bin_size=2),
    BoxNMSGrouper(box_iou_thr=0.4), CentreGrouper()])
def test_sliders_are_options_of_the_grouper_at_its_own_values(grouper):
    sliders = grouping_sliders(grouper)
    assert sliders
    known = inspect.signature(type(grouper).__init__).parameters
    for name, slider in sliders.items():
        assert name in known
        assert slider.value == getattr(grouper, name)
        assert slider.minimum <= slider.value <= slider.maximum


@pytest.mark.parametrize('kind', [PixelBoxGrouper, BoxNMSGrouper, CentreGrouper])
@pytest.mark.parametrize('end', ['minimum', 'maximum', 'value'])
def test_the_grouper_accepts_both_ends_of_every_slider(kind, end):
    with gradio.Blocks():
        page = Page(kind(), [], 0.2)
    values = [float(getattr(slider, end)) for slider in page.sliders.values()]
    options = page.read_settings(['Masks'], 0.3, *values).grouping
    grouper = kind(**options)
    assert all(getattr(grouper, name) == value for name, value in options.items())


def test_settings_are_read_in_their_order_and_whole_numbers_stay_whole():
    with gradio.Blocks():
        page = Page(PixelBoxGrouper(bin_size=1), [], 0.2)
    settings = page.read_settings(['Masks', 'Votes'], 0.3, *[0.5] * len(page.sliders))
    assert (settings.layers, settings.score_thr) == (('Masks', 'Votes'), 0.3)
    assert settings.grouping['bin_size'] == 0.5
    assert settings.grouping['num_smooth'] == 0
    assert isinstance(settings.grouping['num_smooth'], int)


def test_samples_of_the_checkout_are_found():
    assert [sample.suffix for sample in find_samples()] == ['.jpg'] * len(find_samples()) != []
