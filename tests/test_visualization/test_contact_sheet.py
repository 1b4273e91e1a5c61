import numpy as np

from mmseg_instbox.visualization import contact_sheet


def test_pictures_stand_in_rows_and_large_ones_shrink():
    pictures = [np.full((20, 40, 3), 10, np.uint8), np.full((10, 10, 3), 20, np.uint8),
                np.full((40, 80, 3), 30, np.uint8)]
    sheet = contact_sheet(pictures, columns=2, width=40, gap=1)
    assert sheet.shape == (44, 84, 3)
    assert (sheet[1:21, 1:41] == 10).all() and (sheet[1:11, 43:53] == 20).all()
    assert (sheet[23:43, 1:41] == 30).all()
    assert (sheet == 255).all(-1).sum() == 44 * 84 - 20 * 40 - 10 * 10 - 20 * 40
