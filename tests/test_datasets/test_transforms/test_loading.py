import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import Compose
from mmseg.datasets.transforms import LoadImageFromNDArray
from PIL import Image

from mmseg_instbox.datasets.transforms import CachedLoading, LoadInstAnnotations, LoadInstImage

SEG_MAP = np.array([[0, 1, 1, 255], [0, 2, 2, 2]], np.uint8)
INST_MAP = np.array([[0, 5, 5, 255], [0, 6, 6, 255]], np.uint8)


def save(tmp_path, seg_map=SEG_MAP, inst_map=INST_MAP, **more):
    """Results of a data set whose masks are these."""
    paths = [tmp_path / 'seg.png', tmp_path / 'inst.png']
    for path, mask in zip(paths, (seg_map, inst_map), strict=True):
        Image.fromarray(mask).save(path)
    results = dict(img_path='a.jpg', seg_map_path=str(paths[0]), inst_map_path=str(paths[1]),
                   num_classes=3, thing_ids=[1, 2], label_map=None, reduce_zero_label=False,
                   seg_fields=[], img=np.zeros((2, 4, 3)), ori_shape=(2, 4))
    return results | more


def test_both_maps_are_those_of_the_files(tmp_path):
    results = LoadInstAnnotations()(save(tmp_path))
    assert np.array_equal(results['gt_seg_map'], SEG_MAP)
    assert np.array_equal(results['gt_inst_map'], INST_MAP)
    assert results['gt_seg_map'].dtype == np.uint8 and results['gt_inst_map'].dtype == np.int32
    assert results['seg_fields'] == ['gt_seg_map', 'gt_inst_map']


def test_palette_images_are_read_as_indices(tmp_path):
    results = save(tmp_path)
    for key in ('seg_map_path', 'inst_map_path'):
        mask = Image.open(results[key])
        mask.putpalette(list(range(255, -1, -1)) * 3)
        mask.save(results[key])
    assert Image.open(results['inst_map_path']).mode == 'P'
    assert np.array_equal(LoadInstAnnotations()(results)['gt_inst_map'], INST_MAP)


def test_ids_above_255_are_read_from_16_bit_masks(tmp_path):
    inst_map = np.where(INST_MAP == 6, 3000, INST_MAP).astype(np.uint16)
    results = LoadInstAnnotations()(save(tmp_path, inst_map=inst_map))
    assert np.array_equal(results['gt_inst_map'], inst_map)


def test_a_void_category_makes_the_pixel_void_in_the_instance_map(tmp_path):
    seg_map = SEG_MAP.copy()
    seg_map[0, 2] = 255
    results = LoadInstAnnotations()(save(tmp_path, seg_map))
    assert results['gt_inst_map'].tolist() == [[0, 5, 255, 255], [0, 6, 6, 255]]


def test_an_object_whose_category_is_mapped_away_becomes_void(tmp_path):
    label_map = {0: 0, 1: 255, 2: 1}
    results = save(tmp_path, label_map=label_map, num_classes=2, thing_ids=[1])
    results = LoadInstAnnotations()(results)
    assert results['gt_seg_map'].tolist() == [[0, 255, 255, 255], [0, 1, 1, 1]]
    assert results['gt_inst_map'].tolist() == [[0, 255, 255, 255], [0, 6, 6, 255]]


def test_reduce_zero_label_makes_zero_void(tmp_path):
    results = save(tmp_path, reduce_zero_label=True, num_classes=2, thing_ids=[0, 1])
    results = LoadInstAnnotations()(results)
    assert results['gt_seg_map'].tolist() == [[255, 0, 0, 255], [255, 1, 1, 1]]
    assert results['gt_inst_map'].tolist() == [[255, 5, 5, 255], [255, 6, 6, 255]]


def test_it_steps_aside_without_annotations():
    results = dict(img=np.zeros((2, 4, 3)), ori_shape=(2, 4), img_path=None)
    assert LoadInstAnnotations()(dict(results)).keys() == results.keys()


@pytest.mark.parametrize('missing', ['inst_map_path', 'seg_map_path', 'num_classes', 'thing_ids'])
def test_half_of_the_annotations_is_an_error(tmp_path, missing):
    results = save(tmp_path)
    del results[missing]
    with pytest.raises(ValueError, match=f'{missing}.*a.jpg.*InstBoxDataset'):
        LoadInstAnnotations()(results)


def test_annotations_have_the_size_of_the_original_image(tmp_path):
    resized = save(tmp_path, img=np.zeros((20, 40, 3)))
    assert LoadInstAnnotations()(resized)['gt_at_ori_shape'] is True
    assert LoadInstAnnotations()(save(tmp_path))['gt_at_ori_shape'] is False
    with pytest.raises(ValueError, match=r'seg\.png: .*4 x 2 .*its image is 8 x 4'):
        LoadInstAnnotations()(save(tmp_path, ori_shape=(4, 8)))


@pytest.mark.parametrize('masks, message', [
    (dict(inst_map=INST_MAP[:1]), r'inst\.png: the mask is 4 x 1 '),
    (dict(seg_map=np.full((2, 4), 3, np.uint8)), r'seg\.png: .*\[3\].*0 to 2'),
    (dict(seg_map=np.full((2, 4), 256, np.uint16)), r'seg\.png: .*\[256\]'),
    (dict(seg_map=np.where(SEG_MAP == 2, 255, SEG_MAP).astype(np.uint8)), r'object 6 has no categ'),
    (dict(seg_map=np.where(SEG_MAP == 2, 0, SEG_MAP).astype(np.uint8)), r'object 6 lies on cat'),
    (dict(inst_map=np.where(INST_MAP == 6, 5, INST_MAP).astype(np.uint8)), r'object 5 covers'),
    (dict(inst_map=np.zeros((2, 4, 3), np.uint8)), r'inst\.png: .*3 channels'),
])
def test_masks_that_contradict_themselves_are_errors(tmp_path, masks, message):
    with pytest.raises(ValueError, match=message):
        LoadInstAnnotations()(save(tmp_path, **masks))


@pytest.mark.parametrize('name, what', [('seg', 'category mask'), ('inst', 'instance mask')])
def test_missing_and_broken_masks_are_named(tmp_path, name, what):
    results = save(tmp_path)
    file = tmp_path / f'{name}.png'
    file.write_bytes(file.read_bytes()[:45])
    with pytest.raises(ValueError, match=rf'{name}\.png: the {what} is broken or truncated'):
        LoadInstAnnotations()(dict(results, seg_fields=[]))
    file.unlink()
    with pytest.raises(FileNotFoundError, match=rf'{name}\.png: no such {what}'):
        LoadInstAnnotations()(dict(results, seg_fields=[]))


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


def annotated(photo, tmp_path):
    """Results of a data set with an object on the photograph."""
    seg_map = np.zeros((60, 80), np.uint8)
    seg_map[10:50, 20:70] = 1
    results = save(tmp_path, seg_map, 7 * seg_map, img_path=str(photo))
    del results['img'], results['ori_shape']
    return results


def test_what_was_loaded_is_given_again_without_the_file(photo, tmp_path):
    results, load = annotated(photo, tmp_path), [LoadInstImage(), LoadInstAnnotations()]
    expected = Compose(load)(dict(results, seg_fields=[]))
    cached = CachedLoading(load, max_side=80)
    cached(dict(results, seg_fields=[]))['seg_fields'].clear()
    photo.unlink()
    found = cached(dict(results, seg_fields=[]))
    assert found.keys() == expected.keys() and found['seg_fields'] == expected['seg_fields']
    for key in ('img', 'gt_seg_map', 'gt_inst_map'):
        assert np.array_equal(found[key], expected[key]) and found[key].dtype == expected[key].dtype
        with pytest.raises(ValueError, match='read-only'):
            found[key][0] = 0


def test_large_images_are_kept_reduced(photo, tmp_path):
    found = CachedLoading([LoadInstImage(), LoadInstAnnotations()], max_side=40)(
        annotated(photo, tmp_path))
    assert found['img'].shape == (30, 40, 3) and found['img_shape'] == (30, 40)
    assert found['gt_seg_map'].shape == found['gt_inst_map'].shape == (30, 40)
    assert (found['gt_inst_map'][5:25, 10:35] == 7).all() and found['ori_shape'] == (60, 80)


def test_images_beyond_the_memory_are_loaded_each_time(photo, tmp_path):
    results = annotated(photo, tmp_path)
    cached = CachedLoading([LoadInstImage(), LoadInstAnnotations()], max_side=80,
                           max_bytes=8 * 60 * 80 - 1)
    cached(dict(results, seg_fields=[]))
    photo.unlink()
    with pytest.raises(FileNotFoundError):
        cached(dict(results, seg_fields=[]))


def test_samples_of_one_image_are_kept_apart(photo, tmp_path):
    results = annotated(photo, tmp_path)
    cached = CachedLoading([LoadInstImage(), LoadInstAnnotations()], max_side=80)
    cached(dict(results, seg_fields=[], sample_idx=0))
    save(tmp_path, np.zeros((60, 80), np.uint8), np.zeros((60, 80), np.uint8))
    assert not cached(dict(results, seg_fields=[], sample_idx=1))['gt_inst_map'].any()
    assert cached(dict(results, seg_fields=[], sample_idx=0))['gt_inst_map'].any()


def test_images_alone_are_kept(photo):
    found = CachedLoading([LoadInstImage()], max_side=40)(dict(img_path=str(photo)))
    assert found['img'].shape == (30, 40, 3)
