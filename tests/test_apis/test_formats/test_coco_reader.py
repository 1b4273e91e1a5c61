"""Files of COCO's format become data samples again."""
import json

import numpy as np
import pytest

from mmseg_instbox.apis.formats import FORMATS, CocoWriter, samples_from_coco


@pytest.fixture
def file(tmp_path, sample, meta):
    with CocoWriter(tmp_path, meta) as writer:
        writer.add(sample, 'scene', '/data/scene.jpg')
    return tmp_path / 'annotations.json'


@pytest.fixture
def change(file):
    """Changes the file and gives its path as text."""
    def change(edit):
        content = json.loads(file.read_text())
        edit(content)
        file.write_text(json.dumps(content))
        return str(file)
    return change


def test_what_was_written_comes_back(file, sample, masks):
    samples, meta = samples_from_coco(str(file))
    ((name, found), ) = samples
    assert meta['classes'] == ('background', 'cat', 'dog')
    assert meta['thing_classes'] == ('cat', 'dog') and meta['category_ids'] == {1: 0, 3: 1}
    assert name == found.name == 'scene' and found.img_path == 'scene.jpg'
    assert found.ori_shape == (60, 80) and found.img_id == 1
    instances = found.pred_instances
    assert np.array_equal(instances.masks, masks)
    assert instances.labels.tolist() == [1, 0, 1, 0]
    assert instances.scores.tolist() == pytest.approx([.9, .8, .3, .6])
    assert instances.bboxes[1].tolist() == [10, 40, 50, 55]
    expected = np.zeros((60, 80))
    for mask, category in zip(masks, (2, 1, 2, 1), strict=True):
        expected[mask] = category
    assert np.array_equal(found.pred_sem_seg.data[0], expected)


@pytest.mark.parametrize('kind', FORMATS)
def test_it_converts_to_every_format(kind, file, tmp_path):
    samples, meta = samples_from_coco(str(file))
    with FORMATS[kind](tmp_path / 'out', meta) as writer:
        for name, sample in samples:
            writer.add(sample, name, sample.img_path)
    assert [each for each in (tmp_path / 'out').rglob('*') if each.is_file()]


def test_coco_to_coco_changes_nothing(file, tmp_path):
    samples, meta = samples_from_coco(str(file))
    with CocoWriter(tmp_path / 'again', meta) as writer:
        for name, sample in samples:
            writer.add(sample, name, sample.img_path)
    one, other = (json.loads(path.read_text())
                  for path in (file, tmp_path / 'again' / 'annotations.json'))
    assert one['annotations'] == other['annotations'] and one['images'] == other['images']
    assert sorted(one['categories'], key=lambda each: each['id']) == other['categories']


def test_polygons_crowds_and_missing_scores(change):
    def edit(content):
        content['annotations'] = [
            dict(id=1, image_id=1, category_id=3, segmentation=[[10, 10, 20, 10, 20, 20, 10, 20]]),
            dict(id=2, image_id=1, category_id=1, iscrowd=1,
                 segmentation=dict(size=[60, 80], counts=[0, 60, 4740]))]
    samples, _ = samples_from_coco(change(edit))
    ((_, found), ) = samples
    assert found.pred_instances.bboxes.tolist() == [[10, 10, 20, 20]]
    assert found.pred_instances.scores.tolist() == [1]
    seg_map = found.pred_sem_seg.data[0]
    assert (seg_map[:, 0] == 255).all() and (seg_map == 2).sum() == 100


def test_names_are_made_distinct(change):
    def edit(content):
        content['annotations'] = []
        content['images'] = [dict(id=i, file_name=name, height=4, width=4) for i, name in enumerate(
            ['a/x.jpg', 'b/x.jpg', 'b/x.png', 'c\\x.jpg', 'x.jpg', 'x.png'])]
    samples, _ = samples_from_coco(change(edit))
    assert [name for name, _ in samples] == ['a/x', 'b/x', 'b/x_2', 'c/x', 'x', 'x_2']


def test_a_category_of_the_name_background(change):
    def edit(content):
        content['categories'][1]['name'] = 'background'
    samples, meta = samples_from_coco(change(edit))
    ((_, found), ) = samples
    assert meta['classes'] == meta['thing_classes'] == ('background', 'dog')
    assert set(np.unique(found.pred_sem_seg.data)) == {0, 1, 255}


@pytest.mark.parametrize('edit, text', [
    (lambda content: content.pop('categories'), "no list 'categories'"),
    (lambda content: content['annotations'][0].pop('segmentation'),
     "annotation 1 has no 'segmentation'"),
    (lambda content: content['annotations'][0].update(category_id=9),
     'annotation 1 has category_id 9, which is not among the categories'),
    (lambda content: content['annotations'][0].update(image_id=9),
     'annotation 1 has image_id 9, which is not among the images'),
    (lambda content: content['images'][0].update(height=61), r'annotation 1: the RLE has size'),
    (lambda content: content['annotations'][1]['segmentation'].update(counts='abc'),
     'annotation 2: the counts of the RLE are broken'),
    (lambda content: content['annotations'][2].update(score=7), 'annotation 3 has the score 7'),
    (lambda content: content['annotations'][2].update(score='x'), "annotation 3 has the score 'x'"),
    (lambda content: content['categories'][0].update(name='cat'), "categories are .'cat', 'cat'"),
    (lambda content: content['categories'].clear(), 'not among the categories')])
def test_faulty_files(change, edit, text):
    file = change(edit)
    with pytest.raises(ValueError, match=text) as error:
        list(samples_from_coco(file)[0])
    assert 'annotations.json' in str(error.value)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.json'):
        samples_from_coco(str(tmp_path / 'none.json'))


def test_a_list_of_results_is_no_such_file(tmp_path):
    (tmp_path / 'results.json').write_text('[]')
    with pytest.raises(ValueError, match="no list 'images'"):
        samples_from_coco(str(tmp_path / 'results.json'))


def test_images_are_read_one_at_a_time(change):
    """A fault in the second image does not keep the first from being read."""
    def edit(content):
        content['images'].append(dict(id=2, file_name='b.jpg', height=4, width=4))
        content['annotations'][3].update(image_id=2)
    samples, _ = samples_from_coco(change(edit))
    assert next(samples)[0] == 'scene'
    with pytest.raises(ValueError, match='annotation 4'):
        next(samples)
