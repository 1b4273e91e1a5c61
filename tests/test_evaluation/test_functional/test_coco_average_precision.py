"""COCO's figures of the official annotations, and of annotations by hand."""
import numpy as np
import pytest
from coco_scenes import (
    NAMES,
    REAL,
    encode,
    make_annotation,
    predict,
    random_file,
    run_pycocotools,
    write_json,
)
from pycocotools import mask as mask_api

from mmseg_instbox.evaluation.functional.coco_average_precision import (
    coco_average_precision,
    official_instances,
    read_coco,
)

EVERY = {3: 2, 17: 0, 18: 1, 90: 3}
MERGED = {3: 1, 17: 0, 90: 0}  # cat and book are one, dogs are left out


def figures(ann_file, predictions, category_ids):
    """The means of the six figures, of the images that are predicted."""
    coco, annotations, found = read_coco(ann_file), [], []
    for image_id, (masks, categories, scores) in predictions.items():
        for each in official_instances(coco, image_id, category_ids):
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id, category_id=each['bbox_label'],
                segmentation=each['mask'], area=each['area'], iscrowd=each['ignore_flag']))
        found += [
            dict(image_id=image_id, category_id=category_ids[int(category)], score=float(score),
                 segmentation=encode(mask))
            for mask, category, score in zip(masks, categories, scores, strict=True)
            if int(category) in category_ids
        ]
    table = coco_average_precision(
        make_coco(predictions, annotations), found, max(category_ids.values()) + 1)
    assert list(table) == NAMES
    defined = (table[name][~np.isnan(table[name])] for name in NAMES)
    return [values.mean() if len(values) else -1. for values in defined]


def make_coco(image_ids, annotations):
    return dict(images=[dict(id=number, height=1, width=1) for number in image_ids],
                categories=[dict(id=number) for number in range(4)], annotations=annotations)


@pytest.mark.parametrize('category_ids', [EVERY, MERGED])
@pytest.mark.parametrize('seed', [0, 1])
def test_agrees_with_pycocotools(seed, category_ids, tmp_path):
    ann_file = random_file(tmp_path / 'a.json', seed)
    predictions = predict(ann_file, seed)
    expected = run_pycocotools(ann_file, predictions, tmp_path, category_ids)
    assert figures(ann_file, predictions, category_ids) == pytest.approx(expected, abs=1e-9)
    assert 0.05 < min(expected) and max(expected[:3]) < 0.95


def test_of_the_images_of_the_data_set(tmp_path):
    ann_file = random_file(tmp_path / 'a.json', 2)
    some = dict(list(predict(ann_file, 2).items())[1::2])
    expected = run_pycocotools(ann_file, some, tmp_path, EVERY)
    assert figures(ann_file, some, EVERY) == pytest.approx(expected, abs=1e-9)


@pytest.mark.skipif(not REAL.is_file(), reason='COCO is not there; set INSTBOX_DATA')
def test_agrees_with_pycocotools_on_real_annotations(tmp_path):
    predictions = predict(str(REAL), 0, limit=16)
    category_ids = {number: i for i, number in enumerate(sorted(read_coco(str(REAL)).cats))}
    expected = run_pycocotools(str(REAL), predictions, tmp_path, category_ids)
    assert figures(str(REAL), predictions, category_ids) == pytest.approx(expected, abs=1e-6)
    assert 0.05 < expected[0] < 0.9


def two_images(tmp_path, objects, size=(10, 20)):
    """Image 5 has objects (category, columns, crowd), image 4 none."""
    annotations = [
        make_annotation(number, 5, category, columns_mask(columns, size), crowd)
        for number, (category, columns, crowd) in enumerate(objects, 1)
    ]
    return write_json(tmp_path / 'a.json', {5: size, 4: size}, annotations, [3, 17])


def columns_mask(columns, size=(10, 20)):
    mask = np.zeros(size, bool)
    mask[:, slice(*columns)] = True
    return mask


def found(*columns, category=17):
    masks = np.array([columns_mask(each) for each in columns]).reshape(-1, 10, 20)
    return masks, np.full(len(columns), category), np.linspace(.9, .5, len(columns))


def test_a_crowd_swallows(tmp_path):
    ann_file = two_images(tmp_path, [(17, (0, 5), 0), (17, (8, 20), 1)])
    # two predictions in the crowd come before the object's own and cost nothing
    predictions = {5: found((9, 12), (14, 18), (0, 5))}
    assert figures(ann_file, predictions, {17: 0})[:2] == pytest.approx([1., 1.])
    # two thirds outside of it is a false one: recall 1 at precision 1/2
    predictions = {5: found((5, 9), (0, 5))}
    assert figures(ann_file, predictions, {17: 0})[:2] == pytest.approx([.5, .5])


def test_objects_overlap(tmp_path):
    ann_file = two_images(tmp_path, [(17, (0, 12), 0), (17, (4, 20), 0)])
    assert figures(ann_file, {5: found((0, 12), (4, 20))}, {17: 0})[0] == pytest.approx(1.)


def test_an_image_without_predictions_counts(tmp_path):
    ann_file = two_images(tmp_path, [(17, (0, 5), 0), (17, (8, 20), 0)])
    found_one = figures(ann_file, {5: found((0, 5)), 4: found()}, {17: 0})
    assert found_one[0] == pytest.approx(51 / 101)
    assert figures(ann_file, {5: found(), 4: found()}, {17: 0})[0] == 0.


def test_several_categories_become_one(tmp_path):
    ann_file = two_images(tmp_path, [(17, (0, 5), 0), (3, (8, 20), 0)])
    assert figures(ann_file, {5: found((0, 5), (8, 20))}, {17: 0, 3: 0})[0] == pytest.approx(1.)
    assert figures(ann_file, {5: found((0, 5), (8, 20))}, {17: 0})[0] == pytest.approx(1.)


def test_the_area_is_the_official_one(tmp_path):
    annotation = make_annotation(1, 5, 3, columns_mask((0, 5)))
    annotation['area'] = 33.**2  # medium, though 50 pixels
    ann_file = write_json(tmp_path / 'a.json', {5: (10, 20)}, [annotation], [3])
    instance, = official_instances(read_coco(ann_file), 5, {3: 2})
    assert instance['area'] == 33.**2 and mask_api.area(instance['mask']) == 50
    assert (instance['bbox'], instance['bbox_label']) == ([0, 0, 5, 10], 2)


def test_area_and_iscrowd_are_computed_where_they_lack(tmp_path):
    annotation = make_annotation(1, 5, 3, [[2., 1., 12., 1., 12., 9., 2., 9.]])
    del annotation['area'], annotation['iscrowd']
    coco = read_coco(write_json(tmp_path / 'a.json', {5: (10, 20)}, [annotation], [3]))
    instance, = official_instances(coco, 5, {3: 0})
    assert instance['area'] == mask_api.area(instance['mask']) == 80
    assert instance['ignore_flag'] == 0


@pytest.mark.parametrize('text, message', [
    ('{"images": [', 'cut off'), ('[1, 2]', "'images'"), ('{"annotations": []}', "'images'"),
    ('{"images": [], "annotations": [], "info": {}}', "'categories'")])
def test_a_file_that_is_not_coco(text, message, tmp_path):
    (tmp_path / 'bad.json').write_text(text)
    with pytest.raises(ValueError, match=rf'bad\.json: .*{message}'):
        read_coco(str(tmp_path / 'bad.json'))


def test_annotations_without_a_segmentation(tmp_path):
    annotation = make_annotation(7, 5, 3, columns_mask((0, 5)))
    del annotation['segmentation']
    ann_file = write_json(tmp_path / 'bad.json', {5: (10, 20)}, [annotation], [3])
    with pytest.raises(ValueError, match=r"bad\.json: annotation 7 .*'segmentation'"):
        read_coco(ann_file)


def test_a_missing_file():
    with pytest.raises(FileNotFoundError, match=r'no\.json: no such annotation file'):
        read_coco('no.json')


def test_an_image_that_is_not_there(tmp_path):
    coco = read_coco(two_images(tmp_path, []))
    assert official_instances(coco, 4, {17: 0}) == []
    with pytest.raises(ValueError, match=r'a\.json has no image of id 6; give the file'):
        official_instances(coco, 6, {17: 0})


def test_no_objects_and_no_predictions():
    for predictions in ([], [dict(image_id=5, category_id=0, score=.5, segmentation=encode(
            np.ones((4, 4), bool)))]):
        table = coco_average_precision(make_coco([5], []), predictions, 2)
        assert all(np.isnan(table[name]).all() and len(table[name]) == 2 for name in NAMES)


def test_says_nothing(tmp_path, capsys):
    figures(two_images(tmp_path, [(17, (0, 5), 0)]), {5: found((0, 5))}, {17: 0})
    assert capsys.readouterr().out == ''


def test_without_categories_there_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match='no category_ids'):
        official_instances(read_coco(two_images(tmp_path, [])), 5, {})
