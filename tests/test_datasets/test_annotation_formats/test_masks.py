import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from mmseg_instbox.datasets import read_annotations
from mmseg_instbox.datasets.voc_layout import VOC_CLASSES, voc_palette, write_mask

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


@pytest.mark.parametrize('kind', ['palette', 'grey', 'colours'])
def test_the_layout_of_voc(tmp_path, picture, kind):
    picture('VOCdevkit/VOC2012/JPEGImages/a.jpg')
    base = tmp_path / 'VOCdevkit' / 'VOC2012'
    for folder, values in (('SegmentationClass', LABELS), ('SegmentationObject', IDS)):
        if kind == 'palette':
            write_mask(base / folder / 'a.png', values)
        else:
            save(base / folder / 'a.png',
                 values if kind == 'grey' else voc_palette()[values])
    if kind == 'colours':
        lines = [f'{name}:{",".join(map(str, colour))}::' for name, colour in zip(
            ('background', *VOC_CLASSES), voc_palette()[:21], strict=True)]
        (base / 'labelmap.txt').write_text('# label:color:parts:actions\n' + '\n'.join(lines))
    (base / 'ImageSets' / 'Segmentation').mkdir(parents=True)
    (base / 'ImageSets' / 'Segmentation' / 'val.txt').write_text('a\r\n')
    found = read_annotations(tmp_path)
    assert [*found] == ['val'] and sorted(names(found['val'])) == ['bird', 'car']
    assert sorted(int(mask.sum()) for mask in masks(found['val'])) == [100, 200]
    assert found['val'].problems == []


def test_a_missing_mask_leaves_out_its_image_alone(tmp_path, picture):
    for name in 'ab':
        picture(f'JPEGImages/{name}.jpg')
        write_mask(tmp_path / 'SegmentationObject' / f'{name}.png', IDS)
    write_mask(tmp_path / 'SegmentationClass' / 'a.png', LABELS)
    found = read_annotations(tmp_path)['all']
    assert [row['file_name'] for row in found.coco['images']] == ['JPEGImages/a.jpg']
    assert [problem.kind for problem in found.problems] == ['unreadable mask']


@pytest.mark.parametrize('image, mask', [
    ('PNGImages/a.png', 'PedMasks/a_mask.png'), ('a.jpg', 'a_mask.png'),
    ('images/a.jpg', 'masks/a.png'), ('train/images/a.jpg', 'train/instances/a.png')])
@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.int32])
def test_masks_of_instance_ids(tmp_path, picture, image, mask, kind):
    picture(image)
    save(tmp_path / mask, IDS.astype(kind))
    [found] = read_annotations(tmp_path).values()
    assert len(found.coco['annotations']) == 2 and same(found) and names(found) == ['object'] * 2
    assert found.coco['images'][0]['file_name'] == image and not found.problems


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
