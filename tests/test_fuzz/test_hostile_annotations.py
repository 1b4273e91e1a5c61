"""Cases that once crashed, hung, led elsewhere or gave a wrong target; each is refused or right."""
import json
import time
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_instbox.apis.formats import samples_from_coco
from mmseg_instbox.datasets import InstBoxDataset
from mmseg_instbox.datasets.coco_file import read_coco_file
from mmseg_instbox.datasets.coco_masks import segmentation_rle
from mmseg_instbox.datasets.instance_maps import check_objects
from mmseg_instbox.datasets.matlab_file import check_indices
from mmseg_instbox.datasets.voc_layout import read_list
from mmseg_instbox.errors import InvalidInputError, TooLargeError
from mmseg_instbox.utils.file_names import file_name
from mmseg_instbox.utils.inputs import read_inputs
from mmseg_instbox.utils.run_lengths import decompress_counts

SHAPE = (20, 30)
CLASSES = ('background', 'square', 'disc')
SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


def table(**annotation):
    """A file with an image and an annotation, of which some keys are replaced."""
    row = dict(id=1, image_id=1, category_id=3, iscrowd=0, segmentation=SQUARE) | annotation
    return dict(images=[dict(id=1, file_name='a.jpg', height=SHAPE[0], width=SHAPE[1])],
                categories=[dict(id=3, name='square')], annotations=[row])


def write(tmp_path, content) -> str:
    file = tmp_path / 'instances.json'
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


@pytest.mark.parametrize('segmentation', [
    [[1e9, 0, 2e9, 0, 1e9, 5]],  # pycocotools would walk along it in steps of a fifth of a pixel
    [[0, 0, 1e300, 0, 5, 5]], [[-1e6, 0, 1e6, 0] * 50], [[0, 0, float('nan'), 1, 1, 1]],
    dict(size=5, counts=[600]), dict(size=list(SHAPE), counts=[True] * 600),
    dict(size=list(SHAPE), counts=[10**30]), dict(size=list(SHAPE), counts={}),
    dict(size=list(SHAPE), counts=None), dict(size='ab', counts='')])
def test_absurd_segmentations_are_refused_at_once(segmentation):
    start = time.process_time()
    with pytest.raises(InvalidInputError, match='^x.json: annotation 1: '):
        segmentation_rle(segmentation, SHAPE, 'x.json: annotation 1')
    assert time.process_time() - start < 2


def test_a_run_length_without_end_is_no_encoding_and_takes_no_time():
    start = time.process_time()
    assert decompress_counts('o' * 10**6) is None
    assert time.process_time() - start < 2


def test_an_outline_that_leaves_the_image_is_cut_at_its_border():
    from pycocotools import mask as mask_tools
    rle = segmentation_rle([[-40, -40, 15, -40, 15, 10, -40, 10]], SHAPE, 'x')
    expected = np.zeros(SHAPE, np.uint8)
    expected[:10, :15] = 1
    assert np.array_equal(mask_tools.decode(rle), expected)


@pytest.mark.parametrize('change', [
    dict(iscrowd='0'), dict(iscrowd=2), dict(iscrowd=None), dict(id=True), dict(image_id=1.0),
    dict(category_id=True)])
def test_values_that_would_pass_for_others_are_refused(change, tmp_path):
    with pytest.raises(InvalidInputError, match=r'instances\.json: '):
        read_coco_file(write(tmp_path, table(**change)))


@pytest.mark.parametrize('text', ['[' * 10**5, '{"images": ' + '1' * 10**5 + '}', '"\\ud800"',
                                  '', 'NaN', '{"images": NaN}'])
def test_json_that_is_no_table_is_refused(text, tmp_path):
    with pytest.raises(InvalidInputError, match=r'instances\.json'):
        read_coco_file(write(tmp_path, text))


def test_a_large_json_is_refused_before_it_is_read(tmp_path, monkeypatch):
    file = tmp_path / 'instances.json'
    with file.open('wb') as stream:
        stream.truncate(1_000_001)  # a hole: nothing on the disk
    monkeypatch.setenv('INSTBOX_MAX_JSON_MB', '1')
    with pytest.raises(TooLargeError, match='INSTBOX_MAX_JSON_MB=2'):
        read_coco_file(str(file))


def test_limits_on_objects_sizes_and_masks(tmp_path, monkeypatch):
    content = table()
    content['annotations'] = [dict(content['annotations'][0], id=each) for each in range(5)]
    file = write(tmp_path, content)
    monkeypatch.setenv('INSTBOX_MAX_MASK_MB', '1')
    assert len(list(samples_from_coco(file)[0])) == 1
    monkeypatch.setenv('INSTBOX_MAX_OBJECTS', '4')
    with pytest.raises(TooLargeError, match='image 1 has 5 objects'):
        read_coco_file(file)
    content['images'][0].update(height=10**9, width=10**9)
    with pytest.raises(TooLargeError, match='INSTBOX_MAX_PIXELS'):
        read_coco_file(write(tmp_path, content))
    monkeypatch.delenv('INSTBOX_MAX_OBJECTS')
    content['images'][0].update(height=1000, width=1000)
    with pytest.raises(TooLargeError, match='INSTBOX_MAX_MASK_MB=5'):
        list(samples_from_coco(write(tmp_path, content))[0])


def test_a_map_of_too_many_objects_is_refused(monkeypatch):
    inst_map = np.arange(1, 201, dtype=np.int32).reshape(10, 20)
    monkeypatch.setenv('INSTBOX_MAX_OBJECTS', '199')
    with pytest.raises(TooLargeError, match=r'a\.png has 200 objects'):
        check_objects(np.ones((10, 20), np.uint8), inst_map, [1], 'a.png')


@pytest.mark.parametrize('name', ['../secret.jpg', '/etc/passwd', 'a/../../secret.jpg',
                                  '..\\secret.jpg', 'C:/secret.jpg', 'http://127.0.0.1:9/a.jpg'])
def test_a_coco_file_names_no_picture_outside_of_its_folder(name, tmp_path):
    content = table()
    content['images'][0]['file_name'] = name
    file = write(tmp_path, content)
    (tmp_path / 'images').mkdir()
    with pytest.raises(InvalidInputError, match='image 1 names the file'):
        DATASETS.build(dict(type='CocoInstDataset', ann_file=file,
                            metainfo=dict(classes=('background', 'square')),
                            data_prefix=dict(img_path=str(tmp_path / 'images'))))
    with pytest.raises(InvalidInputError, match='image 1 names the file'):
        samples_from_coco(file)


@pytest.fixture
def voc(tmp_path) -> Path:
    """A data set, and beside it what does not belong to it, in folders of like names."""
    for root in ('voc', 'voc/JPEGImages_other'):
        for folder in ('JPEGImages', 'SegmentationClass', 'SegmentationObject'):
            (tmp_path / root / folder).mkdir(parents=True)
    for place in ('voc/JPEGImages/a.jpg', 'secret.jpg', 'voc/JPEGImages_other/b.jpg'):
        Image.new('RGB', (8, 8)).save(tmp_path / place)
    return tmp_path / 'voc'


@pytest.mark.parametrize('line', ['../../secret', '{outside}/secret', 'x/../../../secret',
                                  '{outside}/voc/JPEGImages_other/b', '..\\secret'])
def test_a_list_names_no_picture_outside_of_its_folder(line, voc):
    file = voc / 'list.txt'
    file.write_text('a\n' + line.format(outside=voc.parent) + '\n')
    with pytest.raises(InvalidInputError, match='names the file'):
        InstBoxDataset(ann_file='list.txt', metainfo=dict(classes=CLASSES), data_root=str(voc))
    with pytest.raises(InvalidInputError, match=r'list\.txt names the file'):
        read_list(file)


def test_a_list_that_is_no_text_is_refused(voc):
    (voc / 'list.txt').write_bytes('é\n'.encode('utf-16'))
    with pytest.raises(InvalidInputError, match='the list of images'):
        InstBoxDataset(ann_file='list.txt', metainfo=dict(classes=CLASSES), data_root=str(voc))
    with pytest.raises(InvalidInputError, match=r'list\.txt: the list of images is no text'):
        read_list(voc / 'list.txt')


@pytest.mark.parametrize('values', [
    None, 'x', -1, 1.5, float('nan'), 1e300, np.zeros((2, 2)), np.array([1j]),
    np.array([None, {}], object)])
def test_fields_of_matlab_files_that_are_no_indices_are_refused(values):
    with pytest.raises(InvalidInputError, match=r'a\.mat: Categories '):
        check_indices(Path('a.mat'), values, 'Categories', ndim=1)


def test_a_single_number_of_a_matlab_file_is_a_list_of_one():
    assert check_indices(Path('a.mat'), np.float64(7), 'Categories', ndim=1).tolist() == [7]


def test_names_that_a_file_system_takes_for_one_stay_apart(tmp_path):
    files = [tmp_path / name for name in ('a:b.png', 'a_b.png', 'x' * 240 + '.png')]
    for file in files:
        Image.new('L', (4, 4)).save(file)
    images = list(read_inputs([str(file) for file in files]))
    assert len({file_name(image.name) for image in images}) == 3
