from functools import partial

import numpy as np
import pytest
from mmseg.datasets import PascalVOCDataset
from PIL import Image

from mmseg_instbox.datasets.voc_layout import (
    VOC_CLASSES,
    read_list,
    run_in_processes,
    voc_palette,
    write_image,
    write_list,
    write_mask,
)


def test_the_palette_is_that_of_voc():
    assert voc_palette()[:21].tolist() == PascalVOCDataset.METAINFO['palette']
    assert voc_palette()[255].tolist() == [224, 224, 192]


def test_names_are_those_of_mmseg():
    assert VOC_CLASSES == PascalVOCDataset.METAINFO['classes'][1:]


def test_a_mask_reads_back_as_indices_and_looks_as_in_voc(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    write_mask(tmp_path / 'new' / 'mask.png', mask)
    picture = Image.open(tmp_path / 'new' / 'mask.png')
    assert picture.mode == 'P' and np.array_equal(np.array(picture), mask)
    assert np.array_equal(np.array(picture.convert('RGB')), voc_palette()[mask])


def test_an_image_keeps_its_colours(tmp_path):
    write_image(tmp_path / 'a.jpg', np.full((8, 8, 3), (250, 120, 10), np.uint8))
    assert np.abs(np.array(Image.open(tmp_path / 'a.jpg')) - np.array([250, 120, 10])).max() < 8


def test_writing_replaces_the_file_and_leaves_no_other(tmp_path):
    for names in (['a', 'b'], ['c']):
        write_list(tmp_path / 'list.txt', names)
        assert read_list(tmp_path / 'list.txt') == names
    assert [file.name for file in tmp_path.iterdir()] == ['list.txt']


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write_list(tmp_path / 'list.txt', ['old'])
    monkeypatch.setattr('os.replace', lambda *_: (_ for _ in ()).throw(OSError('full')))
    with pytest.raises(OSError, match='full'):
        write_list(tmp_path / 'list.txt', ['new'])
    assert (tmp_path / 'list.txt').read_text() == 'old\n'
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_or_empty_list_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.txt'):
        read_list(tmp_path / 'gone.txt')
    (tmp_path / 'empty.txt').write_text('\n')
    with pytest.raises(ValueError, match='empty.txt'):
        read_list(tmp_path / 'empty.txt')


@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.parametrize('total', [1, 7, 25])
def test_results_come_in_order_and_the_bar_ends_full(total, workers, capsys):
    assert run_in_processes(abs, range(-total, 0), 'numbers', workers) == [*range(total, 0, -1)]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith('numbers') and '100%' in last


def test_an_error_of_the_work_comes_through():
    with pytest.raises(ZeroDivisionError):
        run_in_processes(partial(divmod, 1), [1, 0], 'numbers', 2)


def test_a_list_of_another_system_may_have_names_with_spaces(tmp_path):
    (tmp_path / 'list.txt').write_bytes(b'\xef\xbb\xbfan image \r\n\r\nsub/b.v2\r\n')
    assert read_list(tmp_path / 'list.txt') == ['an image', 'sub/b.v2']
