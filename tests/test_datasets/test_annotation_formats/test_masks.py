import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from mmseg_instbox.datasets import read_annotations

IDS = np.zeros((40, 60), np.uint8)
IDS[2:12, 2:12], IDS[20:30, 20:40], IDS[0, 0] = 1, 2, 255
LABELS = np.array([0, 3, 7], np.uint8)[np.where(IDS == 255, 0, IDS)]


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def masks(found):
    return [mask_tools.decode(each['segmentation']).astype(bool)
            for each in found.coco['annotations']]


def names(found):
    rows = {row['id']: row['name'] for row in found.coco['categories']}
    return [rows[each['category_id']] for each in found.coco['annotations']]


def same(found, ids=IDS):
    return all(np.array_equal(mask, ids == i) for i, mask in enumerate(masks(found), 1))


@pytest.mark.parametrize('mode', ['LA', 'F'])
def test_instance_masks_of_odd_modes(tmp_path, picture, mode):
    picture('images/a.jpg'), picture('images/b.jpg')
    save(tmp_path / 'masks' / 'b.png', IDS)
    Image.fromarray(IDS).convert(mode).save(tmp_path / 'masks' / 'a.png',
                                            format='TIFF' if mode == 'F' else 'PNG')
    found = read_annotations(tmp_path)['all']
    assert len(found.coco['images']) == (1 if mode == 'F' else 2)


@pytest.mark.parametrize('image, mask', [
    ('PNGImages/a.png', 'PedMasks/a_mask.png'), ('a.jpg', 'a_mask.png'),
    ('a.jpg', 'a_cp_masks.png'), ('007_img.png', '007_masks.png'),  # Cellpose
    ('A1/plant001_rgb.png', 'A1/plant001_label.png'),  # CVPPP
    ('images/image_7.png', 'masks/mask_7.png'), ('7-color.png', '7-label.png'),
    ('Original/a.tif', 'Ground Truth/a.tif'), ('rgb/a.png', 'rgb/a_ground_truth.png'),
    ('photos/a.jpg', 'photos/a_segmentation.png'),
    ('Data_with_GT/benign/b (1).png', 'Data_with_GT/benign/b (1)_mask.png'),  # BUSI
    ('images/a.jpg', 'masks/a.png'), ('train/images/a.jpg', 'train/instances/a.png'),
    ('case_1/image.png', 'case_1/mask.png'), ('scan/photo.jpg', 'scan/labels.tif')])
@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.int32])
def test_masks_of_instance_ids(tmp_path, picture, image, mask, kind):
    picture(image)
    save(tmp_path / mask, IDS.astype(kind))
    [found] = read_annotations(tmp_path).values()
    assert len(found.coco['annotations']) == 2 and same(found) and names(found) == ['object'] * 2
    assert found.coco['images'][0]['file_name'] == image and not found.problems


def test_a_mask_that_names_none_of_several_images_is_not_guessed(tmp_path, picture):
    picture('a.jpg'), picture('b.jpg')
    save(tmp_path / 'mask.png', IDS)
    with pytest.raises(ValueError, match='no annotations of a known format'):
        read_annotations(tmp_path)


@pytest.mark.parametrize('image, mask', [
    ('images/{}/a.jpg', 'masks/{}/a.png'), ('{}_images/a.png', '{}_masks/a.png'),
    ('{}/a.png', '{}_masks/a_mask.png')])
def test_masks_of_equal_names_belong_to_the_image_of_their_part(tmp_path, picture, image, mask):
    for part in ('train', 'val'):
        picture(image.format(part))
        save(tmp_path / mask.format(part), IDS if part == 'val' else IDS[::-1].copy())
    picture('a.jpg')
    found = read_annotations(tmp_path)
    assert [found[part].coco['images'][0]['file_name'] for part in ('train', 'val')] == [
        image.format(part) for part in ('train', 'val')]
    assert same(found['val']) and same(found['train'], IDS[::-1])


@pytest.mark.parametrize('image, mask', [
    ('stage1_train/{0}/images/{0}.png', 'stage1_train/{0}/masks/{1}.png'),  # nuclei of 2018
    ('{0}.png', '{0}_mask_{1}.png'), ('{0}.png', '{0}_mask{1}.png'), ('{0}.jpg', '{0}_seg{1}.png'),
    ('images/{0}.jpg', 'masks/{0}_{1}.png'), ('images/{0}.jpg', 'masks/{0}/{1}.png'),
    ('left/{0}.png', 'ground_truth/{1}_labels/{0}.png')])  # EndoVis
@pytest.mark.parametrize('names', [('0af', '1be'), ('1', '2')])
def test_an_image_may_have_a_mask_for_each_object(tmp_path, picture, image, mask, names):
    for name in names:
        picture(image.format(name))
        for value in (1, 2):
            save(tmp_path / mask.format(name, value), 255 * (IDS == value).astype(np.uint8))
    [found] = read_annotations(tmp_path).values()
    assert [each['image_id'] for each in found.coco['annotations']] == [1, 1, 2, 2]
    assert [int(each.sum()) for each in masks(found)] == [100, 200, 100, 200]
    assert not found.problems


def test_other_masks_of_the_same_objects_are_left_out_and_reported(tmp_path, picture):
    picture('images/a.jpg')
    drawing = np.random.default_rng(0).integers(1, 255, (40, 60, 3), np.uint8)
    for folder, values in (('annotated', drawing), ('binary_masks', 255 * np.uint8(IDS % 255 > 0)),
                           ('masks', IDS)):
        save(tmp_path / folder / 'a.png', values)
    found = read_annotations(tmp_path)['all']
    assert same(found) and len(found.coco['annotations']) == 2
    assert [each.kind for each in found.problems] == ['duplicate file'] * 2
    assert all('same pixels as in masks;' in each.message for each in found.problems)


def test_a_mask_of_another_folder_that_cannot_be_read_is_reported(tmp_path, picture):
    picture('images/a.jpg')
    save(tmp_path / 'masks' / 'cats' / 'a.png', IDS)
    (tmp_path / 'masks' / 'dogs').mkdir()
    (tmp_path / 'masks' / 'dogs' / 'a.png').write_bytes(b'no image')
    found = read_annotations(tmp_path)['all']
    assert same(found) and [(each.kind, each.file) for each in found.problems] == [
        ('unreadable mask', 'masks/dogs/a.png')]


def test_background_is_no_object_that_masks_tell_apart(tmp_path, picture):
    """Two masks of an object each hold four values, as does one mask of three objects."""
    picture('images/a.jpg')
    ids = np.repeat(np.uint8([0, 1, 2, 3]), 10)[:, None].repeat(60, axis=1)
    save(tmp_path / 'labels' / 'a.png', ids)
    for value in (1, 2):
        save(tmp_path / 'binary_masks' / f'a_{value}.png', 255 * np.uint8(ids == value))
    assert len(read_annotations(tmp_path)['all'].coco['annotations']) == 3


def test_clips_and_frames_may_have_the_same_numbers(tmp_path, picture):
    for clip, frame in ('11', '12', '21', '22'):
        picture(f'images/{clip}/{frame}.png')
        save(tmp_path / 'masks' / clip / f'{frame}.png', IDS)
    found = read_annotations(tmp_path)['all']
    assert len(found.coco['images']) == 4 and len(found.coco['annotations']) == 8
    assert not found.problems


@pytest.mark.parametrize('text', [
    'image,width,height\na.png,60,40\n', 'ImageId,EncodedPixels\na,' + '1 2 ' * 40000])
def test_tables_of_other_things_give_no_categories(tmp_path, picture, text):
    picture('images/a.jpg')
    save(tmp_path / 'masks' / 'a.png', IDS)
    (tmp_path / 'train.csv').write_text(text)
    assert names(read_annotations(tmp_path)['all']) == ['object'] * 2


def test_soft_edges_are_no_objects(tmp_path, picture):
    picture('images/a.jpg')
    y, x = np.mgrid[:40, :60]
    inside = 16 - np.hypot(y - 20, x - 30)
    save(tmp_path / 'masks' / 'a.png', np.clip(128 + 120 * inside, 0, 255).astype(np.uint8))
    found = read_annotations(tmp_path)['all']
    assert [each.kind for each in found.problems] == ['soft edges']
    [mask] = masks(found)
    assert np.array_equal(mask, inside >= 0)


def test_more_than_255_instances(tmp_path, picture):
    picture('a.jpg')
    ids = np.arange(2400, dtype=np.uint16).reshape(40, 60)
    save(tmp_path / 'a_mask.png', ids)
    found = read_annotations(tmp_path)['all']
    assert len(found.coco['annotations']) == 2399 and same(found, ids)


def test_categories_of_masks(tmp_path, picture):
    picture('images/a.jpg')
    save(tmp_path / 'masks' / 'a.png', IDS)
    (tmp_path / 'classes.txt').write_text('cell\n')
    assert names(read_annotations(tmp_path)['all']) == ['cell', 'cell']
    (tmp_path / 'table.csv').write_text('mask,value,category\na.png,1,cell\na.png,2,dust\n')
    assert names(read_annotations(tmp_path)['all']) == ['cell', 'dust']
    (tmp_path / 'table.csv').unlink()
    (tmp_path / 'classes.txt').write_text('cell\ndust\n')
    save(tmp_path / 'masks' / 'a.png', np.array([0, 1001, 2001], np.uint16)[IDS % 255])
    assert names(read_annotations(tmp_path)['all']) == ['cell', 'dust']


def test_images_without_mask_are_left_out(tmp_path, picture):
    for name in 'ab':
        picture(f'images/{name}.jpg')
    save(tmp_path / 'masks' / 'a.png', IDS)
    found = read_annotations(tmp_path)['all']
    assert [(each.kind, each.file) for each in found.problems] == [
        ('not annotated', 'images/b.jpg')]


@pytest.mark.parametrize('image, mask', [
    ('JPEGImages/a.jpg', 'SegmentationClass/a.png'),
    ('train/a_jpg.rf.0a1b.jpg', 'train/a_jpg.rf.0a1b_mask.png')])
def test_masks_of_categories_are_refused(tmp_path, picture, image, mask):
    picture(image)
    save(tmp_path / mask, LABELS)
    if image.startswith('train'):  # Roboflow
        (tmp_path / 'train' / '_classes.csv').write_text('Pixel Value, Class\n0, background\n')
    with pytest.raises(ValueError, match='the category of each pixel, not the object'):
        read_annotations(tmp_path)


def test_masks_of_categories_do_not_hide_those_of_instances(tmp_path, picture):
    picture('images/a.jpg')
    save(tmp_path / 'SegmentationClass' / 'a.png', LABELS)
    save(tmp_path / 'instances' / 'a.png', IDS)
    found = read_annotations(tmp_path)['all']
    assert len(found.coco['annotations']) == 2 and not found.problems


@pytest.mark.parametrize('values, expected', [
    ([1, 1], ['single values']), ([255, 255], ['single values']), ([1, 0], []), ([1, 2], [])])
def test_masks_of_one_value_may_hold_several_objects(tmp_path, picture, values, expected):
    picture('images/a.jpg')
    save(tmp_path / 'masks' / 'a.png', np.array([0, *values], np.uint8)[IDS % 255])
    found = read_annotations(tmp_path)['all']
    assert [problem.kind for problem in found.problems] == expected
    assert 'up to 2' in str(found.problems) or not expected


@pytest.mark.parametrize('repeated, expected', [(2, ['several regions']), (1, [])])
def test_values_of_several_regions_may_be_categories(tmp_path, picture, repeated, expected):
    picture('images/a.jpg', size=(180, 40))
    values = np.hstack([*[IDS % 255] * repeated, *[np.where(IDS == 1, 3, 0)] * (3 - repeated)])
    save(tmp_path / 'masks' / 'a.png', values.astype(np.uint8))
    assert [each.kind for each in read_annotations(tmp_path)['all'].problems] == expected


def test_drawings_on_photographs_are_no_masks(tmp_path, picture):
    """Each colour would be an object as large as the image."""
    picture('images/a.jpg', size=(150, 150))
    save(tmp_path / 'labelled' / 'a.png', np.random.default_rng(0).integers(
        0, 255, (150, 150, 3), np.uint8))
    found = read_annotations(tmp_path)['all']
    assert found.fatal and found.problems[0].kind == 'too many objects'


def test_negative_values_are_background(tmp_path, picture):
    picture('images/a.jpg')
    values = np.where(IDS == 0, -1, IDS.astype(np.int32))
    (tmp_path / 'masks').mkdir()
    Image.fromarray(values).save(tmp_path / 'masks' / 'a.tif')
    found = read_annotations(tmp_path)['all']
    assert same(found) and len(found.coco['annotations']) == 2


def test_a_value_of_the_table_that_is_no_number_is_passed_over(tmp_path, picture):
    picture('images/a.jpg')
    save(tmp_path / 'masks' / 'a.png', IDS)
    (tmp_path / 'table.csv').write_text('mask,value,category\na,1,cell\na,\u00b2,dust\n')
    assert names(read_annotations(tmp_path)['all']) == ['cell']
