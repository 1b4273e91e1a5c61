import numpy as np
import pytest
from PIL import Image

from mmseg_instbox.datasets import read_annotations
from mmseg_instbox.datasets.voc_layout import VOC_CLASSES, voc_palette, write_mask

IDS = np.zeros((40, 60), np.uint8)
IDS[2:12, 2:12], IDS[20:30, 20:40], IDS[0, 0] = 1, 2, 255
LABELS = np.array([0, 3, 7], np.uint8)[np.where(IDS == 255, 0, IDS)]


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def names(found):
    rows = {row['id']: row['name'] for row in found.coco['categories']}
    return [rows[each['category_id']] for each in found.coco['annotations']]


@pytest.mark.parametrize('kind', ['palette', 'grey', 'colours'])
def test_the_layout_of_voc(tmp_path, picture, kind):
    picture('VOCdevkit/VOC2012/JPEGImages/an image.JPEG')
    base = tmp_path / 'VOCdevkit' / 'VOC2012'
    for folder, values in (('SegmentationClass', LABELS), ('SegmentationObject', IDS)):
        if kind == 'palette':
            write_mask(base / folder / 'an image.png', values)
        else:
            save(base / folder / 'an image.png',
                 values if kind == 'grey' else voc_palette()[values])
    if kind == 'colours':
        lines = [f'{name}:{",".join(map(str, colour))}::' for name, colour in zip(
            ('background', *VOC_CLASSES), voc_palette()[:21], strict=True)]
        (base / 'labelmap.txt').write_text('# label:color:parts:actions\n' + '\n'.join(lines))
    (base / 'ImageSets' / 'Segmentation').mkdir(parents=True)
    (base / 'ImageSets' / 'Segmentation' / 'val.txt').write_bytes(b'\xef\xbb\xbfan image \r\n')
    found = read_annotations(tmp_path)
    assert [*found] == ['val'] and sorted(names(found['val'])) == ['bird', 'car']
    assert sorted(each['area'] for each in found['val'].coco['annotations']) == [100, 200]
    assert found['val'].problems == []


def test_folders_of_older_versions_of_labelme2voc(tmp_path, picture):
    picture('JPEGImages/a.jpg')
    write_mask(tmp_path / 'SegmentationClassPNG' / 'a.png', LABELS)
    write_mask(tmp_path / 'SegmentationObjectPNG' / 'a.png', IDS)
    (tmp_path / 'class_names.txt').write_text('_background_\na\nb\nc\nd\ne\nf\ng\n')
    for kind in ('Class', 'Object'):
        picture(f'Segmentation{kind}Visualization/a.jpg')
    found = read_annotations(tmp_path)['all']
    assert names(found) == ['c', 'g'] and not found.problems


def test_folders_of_voc_are_splits_without_lists(tmp_path, picture):
    for split in ('train', 'val'):
        picture(f'{split}/JPEGImages/a.jpg')
        write_mask(tmp_path / split / 'SegmentationClass' / 'a.png', LABELS)
        write_mask(tmp_path / split / 'SegmentationObject' / 'a.png', IDS)
    assert {split: part.coco['images'][0]['file_name'] for split, part in read_annotations(
        tmp_path).items()} == dict(train='train/JPEGImages/a.jpg', val='val/JPEGImages/a.jpg')


def write_voc(folder, picture, labels, names=('a',)):
    for name in names:
        picture(f'JPEGImages/{name}.jpg')
        save(folder / 'SegmentationObject' / f'{name}.png', IDS)
        save(folder / 'SegmentationClass' / f'{name}.png', labels)


@pytest.mark.parametrize('line', [
    'sub/b 1.v2', 'sub/b 1.v2.jpg', 'sub\\b 1.v2.JPG', 'sub/b 1.v2  -1', '..\\sub\\b 1.v2 ',
    '/home/me/VOC/JPEGImages/sub/b 1.v2.jpg', 'C:\\data\\JPEGImages\\sub\\B 1.v2.png'])
@pytest.mark.parametrize('name, split', [('train.txt', 'train'), ('Valid.TXT', 'val')])
def test_lists_of_other_systems(tmp_path, picture, line, name, split):
    write_voc(tmp_path, picture, LABELS, ('a', 'sub/b 1.v2'))
    file = tmp_path / 'ImageSets' / 'Segmentation' / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b'\xef\xbb\xbf' + f'{line}\r\n\r\n'.encode())
    [(found_split, found)] = read_annotations(tmp_path).items()
    assert found_split == split and found.problems == []
    assert [row['file_name'] for row in found.coco['images']] == ['JPEGImages/sub/b 1.v2.jpg']


def test_a_list_names_a_mask_that_is_not_there(tmp_path, picture):
    write_voc(tmp_path, picture, LABELS)
    file = tmp_path / 'ImageSets' / 'Segmentation' / 'train.txt'
    file.parent.mkdir(parents=True)
    file.write_text('/etc/b\na\n')
    found = read_annotations(tmp_path)['train']
    assert [row['file_name'] for row in found.coco['images']] == ['JPEGImages/a.jpg']
    assert [(each.kind, '/etc/b' in str(each)) for each in found.problems] == [
        ('unreadable mask', True)]


@pytest.mark.parametrize('labels, expected', [
    ([7, 7], ['car', 'car']), ([7, 15], ['car', 'person'])])
@pytest.mark.parametrize('listed', [False, True])
def test_colours_of_voc_are_categories_also_where_all_are_grey(tmp_path, picture, labels, expected,
                                                               listed):
    write_voc(tmp_path, picture, voc_palette()[np.array([0, *labels])[IDS % 255]])
    if listed:  # in another order, so that no index fits
        (tmp_path / 'labelmap.txt').write_text('person:192,128,128::\ncar:128,128,128::\n')
    assert sorted(names(read_annotations(tmp_path)['all'])) == expected


def test_colours_count_where_a_program_has_changed_the_indices(tmp_path, picture):
    write_voc(tmp_path, picture, LABELS)
    image = Image.fromarray(np.array([0, 1, 2], np.uint8)[IDS % 255])
    image.putpalette(voc_palette()[[0, 7, 15]].ravel().tolist())
    image.save(tmp_path / 'SegmentationClass' / 'a.png')
    assert sorted(names(read_annotations(tmp_path)['all'])) == ['car', 'person']


def test_an_unknown_colour_is_reported_as_such(tmp_path, picture):
    write_voc(tmp_path, picture, np.array([[0, 0, 0], [0, 0, 1], [128, 0, 0]], np.uint8)[IDS % 255])
    found = read_annotations(tmp_path)['all']
    assert names(found) == ['aeroplane']
    assert '#000001' in str(found.problems[0])


@pytest.mark.parametrize('mode', ['LA', 'RGBA', 'I;16', '1', 'F', 'broken'])
@pytest.mark.parametrize('folder', ['SegmentationClass', 'SegmentationObject'])
def test_masks_of_all_modes_are_read_or_left_out_alone(tmp_path, picture, mode, folder):
    write_voc(tmp_path, picture, LABELS, 'ab')
    file = tmp_path / folder / 'a.png'
    values = LABELS if folder == 'SegmentationClass' else IDS % 255
    if mode == 'broken':
        content = bytearray(file.read_bytes())
        content[-25] ^= 255
        file.write_bytes(bytes(content))
    elif mode == 'F':
        Image.fromarray(values.astype(np.float32)).save(file, format='TIFF')
    elif mode == 'I;16':
        save(file, values.astype(np.uint16))
    else:
        Image.fromarray(values if mode != '1' else values > 0).convert(mode).save(file)
    found = read_annotations(tmp_path)['all']
    bad = mode in ('F', 'broken')
    assert len(found.coco['images']) == (1 if bad else 2)
    assert [each.kind for each in found.problems] == ['unreadable mask'] * bad


def test_a_missing_mask_leaves_out_its_image_alone(tmp_path, picture):
    for name in 'ab':
        picture(f'JPEGImages/{name}.jpg')
        write_mask(tmp_path / 'SegmentationObject' / f'{name}.png', IDS)
    write_mask(tmp_path / 'SegmentationClass' / 'a.png', LABELS)
    found = read_annotations(tmp_path)['all']
    assert [row['file_name'] for row in found.coco['images']] == ['JPEGImages/a.jpg']
    assert [problem.kind for problem in found.problems] == ['unreadable mask']
