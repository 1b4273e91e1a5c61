import base64
import io

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from mmseg_instbox.datasets import read_annotations

TRIANGLE = [[2, 2], [12, 2], [12, 12]]


def shape(label='cell', points=TRIANGLE, kind='polygon', **more):
    return dict(label=label, points=points, shape_type=kind, group_id=None) | more


def content(*shapes, name='a.jpg'):
    return dict(version='5.5.0', shapes=[*shapes], imagePath=name, imageData='x', imageHeight=40,
                imageWidth=60)


def test_parts_of_a_group_are_one_object(tmp_path, picture, write_json):
    picture('a.jpg')
    other = [[20, 2], [30, 2], [30, 12]]
    write_json('a.json', content(shape(group_id=1), shape(points=other, group_id=1),
                                 shape(points=other), shape('dust', group_id=1)))
    found = read_annotations(tmp_path)['all']
    assert [len(each['segmentation']) for each in found.coco['annotations']] == [2, 1, 1]
    assert [row['name'] for row in found.coco['categories']] == ['cell', 'dust']
    assert found.coco['annotations'][1]['segmentation'] == [[20, 2, 30, 2, 30, 12]]


def test_circles_and_masks_are_outlines_and_boxes_are_not(tmp_path, picture, write_json):
    picture('a.jpg')
    buffer = io.BytesIO()
    Image.fromarray(np.ones((5, 8), bool)).save(buffer, format='PNG')
    mask = base64.b64encode(buffer.getvalue()).decode()
    write_json('a.json', content(
        shape(points=[[30, 20], [40, 20]], kind='circle'),
        shape(points=[[3, 4], [11, 9]], kind='mask', mask=mask),
        shape(points=[[3, 4], [10, 8]], kind='rectangle'), shape(kind='point', points=[[1, 1]])))
    found = read_annotations(tmp_path)['all']
    circle, code = found.coco['annotations']
    assert abs(circle['area'] - 100 * np.pi) < 3
    assert mask_tools.decode(code['segmentation'])[4:9, 3:11].all() and code['area'] == 40
    assert [problem.kind for problem in found.problems] == ['box only', 'no mask']
    assert 'shape 3' in found.problems[0].message and found.problems[0].file == 'a.json'


def test_the_image_is_the_one_of_the_file_if_the_path_is_wrong(tmp_path, picture, write_json):
    picture('train/a.jpeg')
    picture('train/new.jpg')
    write_json('train/a.json', content(shape(), name='..\\photos\\IMG 7.png'))
    found = read_annotations(tmp_path)['train']
    assert [row['file_name'] for row in found.coco['images']] == ['train/a.jpeg']
    assert [(problem.kind, problem.file) for problem in found.problems] == [
        ('not annotated', 'train/new.jpg')]


def test_a_broken_file_is_left_out(tmp_path, picture, write_json):
    picture('a.jpg')
    write_json('a.json', content(shape()))
    (tmp_path / 'b.json').write_text('{"shapes"')
    found = read_annotations(tmp_path)['all']
    assert [problem.file for problem in found.problems] == ['b.json']


def test_outlines_through_pixels_are_their_mask(tmp_path, picture, write_json):
    picture('a.jpg')
    square = [[3.5, 2.5], [8.5, 2.5], [8.5, 6.5], [3.5, 6.5]]
    write_json('a.json', content(shape(points=square, group_id=1),
                                 shape(points=[[20.5, 2.5]] * 3, group_id=1)))
    [each] = read_annotations(tmp_path)['all'].coco['annotations']
    expected = np.zeros((40, 60), np.uint8)
    expected[2:7, 3:9] = expected[2, 20] = 1
    assert np.array_equal(mask_tools.decode(each['segmentation']), expected)


def test_images_of_equal_names_are_those_beside_their_file(tmp_path, picture, write_json):
    for folder in ('clip 1', 'clip 2'):
        picture(f'{folder}/a.jpg')
        write_json(f'{folder}/a.json', dict(imagePath='a.jpg', shapes=[
            dict(label='cell', points=[[2, 2], [22, 2], [22, 32]])]))
    found = read_annotations(tmp_path)['all']
    assert [row['file_name'] for row in found.coco['images']] == ['clip 1/a.jpg', 'clip 2/a.jpg']
    assert not found.problems


def test_an_image_beside_the_file_comes_before_another_of_the_path(tmp_path, picture, write_json):
    """Scripts that augment or rename images leave the path as it was."""
    for name in ('a.jpg', 'a_flipped.jpg', 'a.png'):
        picture(name)
    write_json('a.json', content(shape()))
    write_json('a_flipped.json', content(shape()))
    found = read_annotations(tmp_path)['all']
    assert [row['file_name'] for row in found.coco['images']] == ['a.jpg', 'a_flipped.jpg']
    assert [(each.kind, each.file) for each in found.problems] == [
        ('file name', 'a_flipped.json'), ('not annotated', 'a.png')]


def test_the_path_leads_from_the_folder_of_the_file_to_the_image(tmp_path, picture, write_json):
    for clip in '12':
        picture(f'images/{clip}/a.jpg')
        write_json(f'labels/{clip}/a.json', content(shape(), name=f'../../images/{clip}/a.jpg'))
    found = read_annotations(tmp_path)['all']
    assert [row['file_name'] for row in found.coco['images']] == ['images/1/a.jpg',
                                                                  'images/2/a.jpg']
    assert not found.problems


def test_masks_and_polygons_of_a_group_are_one_object(tmp_path, picture, write_json):
    picture('a.jpg')
    buffer = io.BytesIO()
    Image.fromarray(np.ones((5, 8), bool)).save(buffer, format='PNG')
    mask = base64.b64encode(buffer.getvalue()).decode()
    write_json('a.json', content(
        *[shape(points=[[x, 4], [x + 8, 9]], kind='mask', mask=mask, group_id=1) for x in (3, 40)],
        shape(points=[[20, 4], [30, 4], [30, 9], [20, 9]], group_id=1),
        shape(points=[[1, 1]], group_id=1)))
    [each] = read_annotations(tmp_path)['all'].coco['annotations']
    expected = np.zeros((40, 60), np.uint8)
    expected[4:9, 3:11] = expected[4:9, 40:48] = expected[4:9, 20:30] = 1
    assert np.array_equal(mask_tools.decode(each['segmentation']), expected)


@pytest.mark.parametrize('size', [(10**6, 10**6), (-60, -40)])
def test_a_size_that_no_image_has_is_passed_over(tmp_path, picture, write_json, size):
    """An outline through pixels would be a mask of a terabyte."""
    picture('a.jpg')
    far = size[0] - 0.5
    table = content(shape(points=[[0.5, 0.5], [far, 0.5], [far, far]]))
    write_json('a.json', table | dict(imageWidth=size[0], imageHeight=size[1]))
    found = read_annotations(tmp_path)['all']
    assert (found.coco['images'][0]['width'], found.coco['images'][0]['height']) == (60, 40)
    assert len(found.coco['annotations']) == 1
