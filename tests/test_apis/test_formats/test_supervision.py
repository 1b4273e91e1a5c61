"""Detections of supervision."""
import sys

import numpy as np
import pytest

from mmseg_instbox.apis.formats import to_supervision


def test_detections_hold_what_the_sample_holds(sample, masks, meta):
    sv = pytest.importorskip('supervision')
    found = to_supervision(sample, meta)
    assert isinstance(found, sv.Detections)
    assert np.array_equal(found.mask, masks)
    assert found.class_id.tolist() == [0, 1, 0, 1]
    assert found.data['class_name'].tolist() == ['dog', 'cat', 'dog', 'cat']
    assert found.confidence == pytest.approx([.9, .8, .3, .6])
    assert np.array_equal(found.xyxy[1:3], [[10, 40, 50, 55], [79, 59, 80, 60]])


def test_supervision_works_on_them(sample, meta):
    sv = pytest.importorskip('supervision')
    found = to_supervision(sample, meta)
    assert len(found[found['class_name'] == 'cat']) == 2
    assert found.area.tolist() == found.mask.sum((1, 2)).tolist()
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = sv.MaskAnnotator(opacity=1).annotate(image.copy(), found)
    assert np.array_equal(drawn.any(axis=2), found.mask.any(axis=0))


def test_no_instances(make_sample, meta):
    sv = pytest.importorskip('supervision')
    found = to_supervision(make_sample(np.zeros((0, 4, 6)), [], []), meta)
    assert len(found) == 0 and len(sv.Detections.merge([found, found])) == 0


def test_without_the_package(monkeypatch, sample, meta):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(ImportError, match='pip install supervision'):
        to_supervision(sample, meta)
