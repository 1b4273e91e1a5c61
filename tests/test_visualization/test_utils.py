import cv2
import numpy as np
import pytest

from mmseg_instbox.visualization.utils import check_display, write_image


def test_a_drawing_longer_than_jpeg_can_hold_is_shortened(tmp_path):
    write_image(np.full((70_000, 3, 3), 90, np.uint8), str(tmp_path / 'thin.jpg'))
    assert cv2.imread(str(tmp_path / 'thin.jpg')).shape == (65_000, 3, 3)


@pytest.mark.parametrize('backend', ['agg', 'PDF'])
def test_without_a_display_no_window_is_waited_for(backend, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: backend)
    with pytest.raises(ValueError, match='no display.*--out'):
        check_display()
    for other in ('TkAgg', 'module://matplotlib_inline.backend_inline'):
        monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda other=other: other)
        check_display()
