import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import Compose
from mmseg.datasets.transforms import LoadImageFromNDArray

from mmseg_instbox.datasets.transforms import LoadInstImage


@pytest.fixture
def photo(tmp_path):
    """A JPEG with detail in every part, so that a cut is a loss anywhere."""
    file = tmp_path / 'photo.jpg'
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(file), noise)
    return file


@pytest.mark.parametrize('to_float32', [False, True])
def test_it_loads_what_the_parent_loads(photo, to_float32):
    ours = LoadInstImage(to_float32=to_float32)(dict(img_path=str(photo)))
    parent = LoadImageFromFile(to_float32=to_float32, imdecode_backend='pillow')
    theirs = parent(dict(img_path=str(photo)))
    assert np.array_equal(ours['img'], theirs['img']) and ours['img'].dtype == theirs['img'].dtype
    assert ours['img_shape'] == ours['ori_shape'] == (60, 80)


def test_channels_are_blue_green_red(tmp_path):
    file = tmp_path / 'red.png'
    cv2.imwrite(str(file), np.full((4, 4, 3), (0, 0, 250), np.uint8))
    assert LoadInstImage()(dict(img_path=str(file)))['img'][0, 0].tolist() == [0, 0, 250]


@pytest.mark.parametrize('part', [0.1, 0.5, 0.9])
def test_a_truncated_image_is_an_error_although_opencv_reads_it(photo, part):
    content = photo.read_bytes()
    photo.write_bytes(content[:int(len(content) * part)])
    if part > 0.1:
        assert cv2.imread(str(photo)) is not None
    with pytest.raises(ValueError, match=r'photo\.jpg: the image is broken or truncated'):
        LoadInstImage()(dict(img_path=str(photo)))


def test_a_truncated_png_is_an_error(tmp_path):
    file = tmp_path / 'photo.png'
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r'photo\.png: .*truncated'):
        LoadInstImage()(dict(img_path=str(file)))


def test_missing_empty_and_unreadable_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.jpg: no such image'):
        LoadInstImage()(dict(img_path=str(tmp_path / 'gone.jpg')))
    (tmp_path / 'empty.jpg').touch()
    with pytest.raises(ValueError, match=r'empty\.jpg: the image is an empty file'):
        LoadInstImage()(dict(img_path=str(tmp_path / 'empty.jpg')))
    (tmp_path / 'folder.jpg').mkdir()
    with pytest.raises(ValueError, match=r'folder\.jpg: the image cannot be read'):
        LoadInstImage()(dict(img_path=str(tmp_path / 'folder.jpg')))


@pytest.mark.parametrize('backend', ['cv2', 'turbojpeg'])
def test_backends_that_hide_a_truncation_are_refused(backend):
    with pytest.raises(ValueError, match=f"'{backend}'.*'pillow'"):
        LoadInstImage(imdecode_backend=backend)


def test_its_options_suit_the_loader_of_arrays(photo):
    """mmseg's inference_model renames the first transform and keeps its options."""
    options = dict(to_float32=True, color_type='color', imdecode_backend='pillow',
                   backend_args=None)
    LoadInstImage(**options)
    loader = Compose([dict(type='LoadImageFromNDArray', **options)])
    assert isinstance(loader.transforms[0], LoadImageFromNDArray)
    assert loader(dict(img=np.zeros((4, 5, 3), np.uint8)))['img_shape'] == (4, 5)
