"""Each kind of problem once: what is wrong goes or is repaired, and the rest stays."""
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from mmseg_instbox.datasets import read_annotations
from mmseg_instbox.datasets.annotation_formats import outlines

SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


def table(*annotations, **more):
    rows = [dict(id=i, image_id=1, category_id=3) | each if isinstance(each, dict) else each
            for i, each in enumerate(annotations, 1)]
    return dict(images=[dict(id=1, file_name='a.jpg', width=60, height=40)],
                categories=[dict(id=3, name='cell')], annotations=rows) | more


@pytest.fixture
def read(tmp_path, picture, write_json):
    """A function that reads a table beside one image."""
    picture('a.jpg')

    def run(content):
        write_json('coco.json', content)
        return read_annotations(tmp_path)['all']

    return run


def kinds(found):
    return [problem.kind for problem in found.problems]


def test_a_sound_table_has_no_problem_and_gets_what_it_lacks(read):
    found = read(table(dict(segmentation=SQUARE)))
    assert found.problems == [] and found.fatal == []
    assert found.coco['annotations'] == [dict(
        id=1, image_id=1, category_id=3, segmentation=SQUARE, bbox=[2, 2, 10, 10], area=100,
        iscrowd=0)]
    assert found.coco['categories'] == [dict(id=3, name='cell', supercategory='')]


@pytest.mark.parametrize('bad, kind', [
    (dict(segmentation=[[1, 1, 5, 5]]), 'few points'),
    (dict(segmentation=[]), 'no mask'),
    (dict(segmentation=None), 'no mask'),
    (dict(bbox=[1, 1, 5, 5]), 'box only'),
    (dict(segmentation=[[1, 1, 5, 5, 9, 9]]), 'no area'),
    (dict(segmentation=[[70, 1, 90, 1, 90, 9]]), 'outside image'),
    (dict(segmentation=[[1, 1, 5, 5, 9]]), 'broken annotation'),
    (dict(segmentation=[[1, 1, 5, 'x', 9, 9]]), 'broken annotation'),
    (dict(segmentation=[[1, 1, 5, float('nan'), 9, 9]]), 'broken annotation'),
    (dict(segmentation=[[0, 0, 1e300, 0, 5, 5]]), 'broken annotation'),
    (dict(segmentation=dict(size=[40, 60], counts=[5])), 'broken annotation'),
    (dict(segmentation=dict(size=[9, 9], counts=[81])), 'broken annotation'),
    (dict(segmentation=SQUARE, image_id=8), 'unknown image'),
    (dict(segmentation=SQUARE, category_id=8), 'unknown category'),
    (dict(segmentation=SQUARE), 'duplicate object'),
])
def test_a_bad_annotation_is_left_out_alone(read, bad, kind):
    found = read(table(dict(segmentation=SQUARE), bad))
    assert kinds(found) == [kind]
    assert 'annotation 2' in found.problems[0].message and found.problems[0].file == 'coco.json'
    assert [each['id'] for each in found.coco['annotations']] == [1]


def test_what_is_repaired_stays(read):
    found = read(table(
        dict(segmentation=[*SQUARE, [1, 1, 5, 5]]),
        dict(segmentation=[[-30, 5, 20, 5, 20, 15, -30, 15]]),
        dict(segmentation=[[30, 5, 40, 5, 40, 15]], bbox=[1, 20, 5, 5]),
        dict(segmentation=[30, 20, 40, 20, 40, 30]),
        dict(segmentation=[[[45, 20], [50, 20], [50, 30]]]),
        dict(segmentation=[[5, 20, 9, 20, 9, 30]], id=1)))
    assert kinds(found) == ['few points', 'outside image', 'box disagrees', 'duplicate id']
    objects = found.coco['annotations']
    assert [each['id'] for each in objects] == [1, 2, 3, 4, 5, 6]
    assert objects[0]['segmentation'] == SQUARE
    assert objects[1]['bbox'] == [0, 5, 20, 10] and objects[2]['bbox'] == [30, 5, 10, 10]
    assert objects[3]['segmentation'] == [[30, 20, 40, 20, 40, 30]]
    assert objects[4]['segmentation'] == [[45, 20, 50, 20, 50, 30]]


@pytest.mark.parametrize('batch', [1, 2, 1000])
def test_measures_and_the_order_of_problems_do_not_depend_on_batches(read, monkeypatch, batch):
    """Of several polygons, the areas add and the box goes around all; code and fault come between
    polygons."""
    monkeypatch.setattr(outlines, 'BATCH', batch)
    bow_tie = [20, 30, 30, 40, 30, 30, 20, 40]
    found = read(table(
        dict(segmentation=[[2, 2, 12, 2, 2.5, 12], [1, 20, 3, 20, 3, 23, 1, 23]]),
        dict(segmentation=[[-30, 5, 20, 5, 20, 15]]), 'no row',
        dict(segmentation=[[30, 10, 40, 10]]), dict(segmentation=[[30, 2, 40, 2, 40, 9]]),
        dict(segmentation=dict(size=[40, 60], counts=[40 * 59, 40])),
        dict(segmentation=[[30, 2, 40, 2, 40, 9]]), dict(segmentation=[bow_tie, SQUARE[0]])))
    assert kinds(found) == ['outside image', 'broken annotation', 'few points', 'duplicate object']
    assert [(each['bbox'], each['area']) for each in found.coco['annotations']] == [
        ([1, 2, 11, 21], 56), ([0, 5, 20, 10], 250), ([30, 2, 10, 7], 35), ([59, 0, 1, 40], 40),
        ([2, 2, 28, 38], 100)]


@pytest.mark.parametrize('box', ['1234', ['1', '2', '3', '4'], [1, 1, None, 5], [1, 1, 5],
                                 [float('inf'), 1, 5, 5], [float('nan'), 1, 5, 5], [10**400] * 4,
                                 [[1], [1], [5], [5]], dict(x=1, y=1, w=5, h=5)])
def test_a_box_of_other_things_than_four_numbers_is_passed_over(read, box):
    assert read(table(dict(segmentation=SQUARE, bbox=box))).problems == []


def test_run_lengths_become_compressed(read):
    runs = dict(size=[40, 60], counts=[40 * 3, 40, 40 * 56])
    each = read(table(dict(segmentation=runs))).coco['annotations'][0]
    assert each['bbox'] == [3, 0, 1, 40] and each['area'] == 40
    assert mask_tools.decode(each['segmentation'])[:, 3].all()


def test_all_crowds_are_objects_and_some_crowds_stay(read):
    boxes = [[[x, 2, x + 8, 2, x + 8, 9]] for x in (2, 20)]
    found = read(table(*[dict(segmentation=each, iscrowd=1) for each in boxes]))
    assert kinds(found) == ['all crowd']
    assert [each['iscrowd'] for each in found.coco['annotations']] == [0, 0]
    found = read(table(*[dict(segmentation=each, iscrowd=i) for i, each in enumerate(boxes)]))
    assert [each['iscrowd'] for each in found.coco['annotations']] == [0, 1]
    assert kinds(found) == ['crowd'] and '1 of 2 annotations' in found.problems[0].message


def test_masks_of_the_brush_of_cvat_are_objects(read):
    runs = dict(size=[40, 60], counts=[40 * 30, 80, 40 * 28])
    found = read(table(*[dict(each, attributes=dict(occluded=False)) for each in (
        dict(segmentation=SQUARE, iscrowd=0), dict(segmentation=runs, iscrowd=1))]))
    assert [each['iscrowd'] for each in found.coco['annotations']] == [0, 0]
    assert kinds(found) == ['crowd'] and 'CVAT' in found.problems[0].message


def test_ids_may_be_text(read):
    content = table(dict(segmentation=SQUARE, image_id='1', category_id='3', id='x'))
    found = read(content)
    assert len(found.coco['annotations']) == 1 and found.coco['annotations'][0]['image_id'] == 1


def test_categories_of_one_name_become_one_and_empty_parents_go(read):
    rows = [dict(id=0, name='facade', supercategory='none'),
            dict(id=1, name='window', supercategory='facade'),
            dict(id=2, name='door', supercategory='house'), dict(id=3, name='house'),
            dict(id=4, name='window '), dict(id=5, name='Door')]
    found = read(table(dict(segmentation=SQUARE, category_id=1),
                       dict(segmentation=[[20, 2, 30, 2, 30, 9]], category_id=4), categories=rows))
    assert [row['name'] for row in found.coco['categories']] == ['window', 'door', 'Door']
    assert {each['category_id'] for each in found.coco['annotations']} == {1}
    assert kinds(found) == ['category names', 'category names', 'empty category', 'empty category']


def test_images_without_objects_or_twice_are_reported(read, picture):
    picture('b.jpg')
    rows = [dict(id=i, file_name=name, width=60, height=40)
            for i, name in ((1, 'a.jpg'), (2, 'b.jpg'), (3, 'a.jpg'), (1, 'b.jpg'))]
    content = table(dict(segmentation=SQUARE), dict(segmentation=[[20, 2, 30, 2, 30, 9]],
                                                    image_id=3), images=rows)
    found = read(content)
    assert kinds(found) == ['duplicate file', 'duplicate id', 'no objects']
    assert [row['file_name'] for row in found.coco['images']] == ['a.jpg', 'b.jpg']
    assert [each['image_id'] for each in found.coco['annotations']] == [1, 1]


def test_missing_and_broken_images_are_left_out(read, picture, tmp_path):
    (tmp_path / 'cut.jpg').write_bytes(picture('b.jpg').read_bytes()[:-60])
    (tmp_path / 'text.jpg').write_text('no image')
    rows = [dict(id=i, file_name=name, width=60, height=40)
            for i, name in enumerate(('a.jpg', 'gone.jpg', 'cut.jpg', 'text.jpg'), 1)]
    content = table(*[dict(segmentation=SQUARE, image_id=i) for i in (1, 2, 3, 4)], images=rows)
    found = read(content)
    assert sorted(kinds(found)) == ['missing file', 'unreadable image', 'unreadable image']
    assert [row['file_name'] for row in found.coco['images']] == ['a.jpg']
    assert [each['image_id'] for each in found.coco['annotations']] == [1]


@pytest.mark.parametrize('name', ['C:\\Users\\me\\A.JPG', '/home/you/a.jpg ', '../../secret/a.jpg',
                                  'a.png', 'images/upload/1f2e3d4c-a.jpg'])
def test_names_of_other_machines_lead_to_the_image(read, name):
    content = table(dict(segmentation=SQUARE))
    content['images'][0]['file_name'] = name
    found = read(content)
    assert kinds(found) == ['file name'] and found.coco['images'][0]['file_name'] == 'a.jpg'


def test_nothing_to_train_on_is_fatal(read):
    found = read(table())
    assert [problem.kind for problem in found.fatal] == ['nothing to train on']


def test_too_many_categories_are_fatal(read):
    rows = [dict(id=i, name=f'c{i}') for i in range(1, 256)]
    assert read(table(dict(segmentation=SQUARE), categories=rows)).fatal
    assert not read(table(dict(segmentation=SQUARE), categories=rows[:254])).fatal


def test_an_image_of_too_many_objects_is_left_out(read, monkeypatch):
    monkeypatch.setenv('INSTBOX_MAX_OBJECTS', '1')
    found = read(table(dict(segmentation=SQUARE), dict(segmentation=[[20, 2, 30, 2, 30, 9]])))
    assert 'too many objects' in kinds(found) and found.coco['images'] == []


def stored_and_shown(orientation):
    """A mask of a corner of the stored image, and of the same corner as the image is shown."""
    from PIL import Image, ImageOps
    stored = np.zeros((40, 60), np.uint8)
    stored[2:12, 2:22] = 1
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    return stored, np.array(ImageOps.exif_transpose(image))


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
@pytest.mark.parametrize('as_polygon', [False, True])
def test_masks_of_the_stored_image_are_turned_with_it(read, picture, orientation, as_polygon):
    picture('a.jpg', orientation=orientation)
    stored, shown = stored_and_shown(orientation)
    code = mask_tools.encode(np.asfortranarray(stored))
    polygon = [[2, 2, 22, 2, 22, 12, 2, 12]]
    code = dict(size=[40, 60], counts=code['counts'].decode())
    found = read(table(dict(segmentation=polygon if as_polygon else code)))
    assert kinds(found) == ['orientation']
    row, each = found.coco['images'][0], found.coco['annotations'][0]
    assert (row['width'], row['height']) == (40, 60)
    segmentation = each['segmentation']
    if as_polygon:
        segmentation = mask_tools.merge(mask_tools.frPyObjects(segmentation, 60, 40))
    assert np.array_equal(mask_tools.decode(segmentation), shown)


def test_masks_of_the_turned_image_stay(read, picture):
    picture('a.jpg', orientation=6)
    content = table(dict(segmentation=SQUARE))
    content['images'][0].update(width=40, height=60)
    found = read(content)
    assert found.problems == [] and found.coco['annotations'][0]['segmentation'] == SQUARE


def test_another_size_than_that_of_the_image_is_reported(read):
    content = table(dict(segmentation=SQUARE))
    content['images'][0].update(width=61)
    found = read(content)
    assert kinds(found) == ['image size'] and found.coco['images'][0]['width'] == 60


@pytest.mark.parametrize('orientation', range(2, 9))
def test_objects_stay_where_the_size_does_not_tell_that_the_image_was_turned(
        read, picture, orientation):
    picture('a.jpg', (40, 40), orientation)
    content = table(dict(segmentation=SQUARE))
    content['images'][0].update(width=40, height=40)
    found = read(content)
    assert kinds(found) == ['orientation'] and 'are taken to be' in str(found.problems[0])
    assert found.coco['annotations'][0]['segmentation'] == SQUARE


def test_categories_that_count_from_0_keep_order_and_ids(read):
    rows = [dict(id=i, name=name) for i, name in enumerate(('cell', 'dust', 'spore'))]
    found = read(table(*[dict(segmentation=[[x, 2, x + 8, 2, x + 8, 9]], category_id=i)
                         for i, x in enumerate((2, 20, 40))], categories=rows))
    assert [(row['id'], row['name']) for row in found.coco['categories']] == [
        (0, 'cell'), (1, 'dust'), (2, 'spore')]
    assert [each['category_id'] for each in found.coco['annotations']] == [0, 1, 2]
    assert found.problems == []


def test_frames_keep_their_video_and_objects_their_track(read):
    content = table(dict(segmentation=SQUARE, track_id=7),
                    videos=[dict(id=5, name='clip'), 'broken'])
    content['images'][0].update(video_id=5, frame_id=12)
    found = read(content).coco
    assert found['videos'] == [dict(id=5, name='clip')]
    assert (found['images'][0]['video_id'], found['images'][0]['frame_id']) == (5, 12)
    assert found['annotations'][0]['track_id'] == 7


@pytest.mark.parametrize('change', [
    dict(iscrowd=True), dict(iscrowd='1'), dict(image_id=1.0), dict(category_id=3.0),
    dict(area='35'), dict(segmentation=[['20', '2.0', 30, 2, 30, '9e0']]),
    dict(segmentation=[[2, 2], [[12, 2, 12, 12]]]), dict(segmentation=[[2, 2, 12, 'x', 12, 12]])])
def test_values_of_other_types_are_taken_for_what_they_mean_or_left_out(read, change):
    content = table(dict(segmentation=SQUARE), dict(segmentation=[[20, 2, 30, 2, 30, 9]]) | change)
    content['images'][0].update(width=60.0, height='40')
    found = read(content)
    if change.get('segmentation', [[]])[0][:1] == [2]:
        assert len(found.coco['annotations']) == 1 and len(found.problems) == 1
    else:
        each = found.coco['annotations'][1]
        assert each['area'] == 35 and each['segmentation'] == [[20, 2, 30, 2, 30, 9]]
        assert kinds(found) == ['crowd'] * ('iscrowd' in change)
        assert each['iscrowd'] == int('iscrowd' in change)
        assert isinstance(each['image_id'], int)


def test_points_may_stand_where_polygons_do(read):
    found = read(table(dict(segmentation=[[2, 2], [12, 2], [12, 12], [2, 12]])))
    assert found.problems == [] and found.coco['annotations'][0]['segmentation'] == SQUARE
    assert kinds(read(table(dict(segmentation=[[2, 2], [12, 2]])))) == [
        'few points', 'no objects', 'nothing to train on', 'empty category']


def test_deep_grey_images_are_trained_on(tmp_path, write_json):
    Image.fromarray(np.full((40, 60), 3000, np.uint16)).save(tmp_path / 'a.png')
    write_json('coco.json', table(dict(segmentation=SQUARE)))
    found = read_annotations(tmp_path)['all']
    assert kinds(found) == ['file name'] and len(found.coco['annotations']) == 1


@pytest.mark.parametrize('last, expected', [
    ([20, 2, 30, 2, 30, 9, 20, 9], ['rectangles']), ([20, 2, 30, 2, 30, 9], [])])
def test_outlines_made_of_boxes_are_reported(read, last, expected):
    boxes = [dict(segmentation=[[x, 20, x + 2, 20, x + 2, 30, x, 30]]) for x in range(19)]
    assert kinds(read(table(*boxes, dict(segmentation=[last])))) == expected
