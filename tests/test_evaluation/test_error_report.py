import json
import pickle

import cv2
import numpy as np
import pytest
from mmseg.registry import TASK_UTILS

from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.error_report import (
    ErrorFinder,
    FoundErrors,
    image_name,
    summarise,
)
from mmseg_instbox.evaluation.functional.error_analysis import ImageErrors
from mmseg_instbox.evaluation.replay import Regroup, replay
from mmseg_instbox.visualization.error_kinds import KIND_COLORS

THINGS = ('square', 'disc')


@pytest.fixture
def samples(tiny_config, tiny_dump):
    return DumpedSamples.from_config(load_config(str(tiny_config)), tiny_dump)


@pytest.fixture
def regroup(samples):
    """A grouper so blunt that it makes mistakes, the more so at a high threshold."""
    return Regroup(TASK_UTILS.build(dict(type='PixelBoxGrouper', merge_iou=0.1)), samples.thing_ids)


def nothing(num_objects=0, num_predictions=0):
    """An image whose predictions and objects have nothing to do with one another."""
    return FoundErrors('a.jpg', np.arange(num_objects) + 1, np.full(num_objects, 9), ImageErrors(
        np.full(num_predictions, 'background'), np.full(num_objects, 'missed'),
        np.full(num_predictions, -1), np.full(num_objects, -1), np.zeros(num_predictions, int),
        np.zeros(num_objects, int), np.full(num_predictions, .5)))


@pytest.mark.parametrize('threshold', [0.5, 0.9])
def test_average_precision_is_the_metrics(samples, regroup, threshold):
    finder = ErrorFinder(regroup, threshold)
    report = summarise([finder.find(samples[index]) for index in range(4)], THINGS)
    figures, = replay(samples, [regroup])
    assert report['AP'] == figures[f'APr_{threshold}']
    assert threshold < 0.9 or report['AP'] < 1
    assert report['AP_all_fixed'] == 1


def test_every_object_and_every_prediction_is_told(samples, regroup):
    found = [ErrorFinder(regroup, 0.9).find(samples[index]) for index in range(4)]
    report = json.loads(json.dumps(summarise(found, THINGS)))
    assert [image['cost'] for image in report['images']] == sorted(
        (image['cost'] for image in report['images']), reverse=True)
    assert sorted(image['index'] for image in report['images']) == [0, 1, 2, 3]
    for image in report['images']:
        sample = samples[image['index']]
        assert image['img_path'] == sample['img_path']
        assert [each['id'] for each in image['objects']] == [1, 2, 3]
        assert [each['category'] for each in image['objects']] == ['square', 'square', 'disc']
        inst_map = sample['gt_inst_map']['data']
        assert [each['area'] for each in image['objects']] == [
            int((inst_map == index).sum()) for index in (1, 2, 3)]
        scores = regroup(sample)['pred_instances']['scores'].tolist()
        assert [each['score'] for each in image['predictions']] == pytest.approx(scores)
    for side in ('objects', 'predictions'):
        told = [each['kind'] for image in report['images'] for each in image[side]]
        for kind, row in report['kinds'].items():
            assert row[side] == told.count(kind)
            assert row[side] == sum(each['kinds'][kind][side] for each in report['categories'])
    assert [row['objects'] for row in report['categories']] == [8, 4]


def test_categories_without_objects_have_no_figures():
    report = summarise([nothing(1, 1)], ('square', 'disc'))
    square, disc = report['categories']
    assert square['AP'] == 0 and square['kinds']['missed']['AP_lost'] == 1
    assert disc['AP'] is disc['kinds']['missed']['AP_lost'] is None
    assert report['images'][0]['objects'][0]['prediction'] is None


def test_no_objects_and_no_predictions_are_said():
    with pytest.raises(ValueError, match='no object in the ground truth of the 2 images'):
        summarise([nothing(0, 1), nothing(0, 2)], THINGS)
    with pytest.raises(ValueError, match='Nothing is predicted in any of the 1 images'):
        summarise([nothing(3, 0)], THINGS)


def test_pictures_show_truth_and_prediction(samples, regroup, tmp_path):
    finder = ErrorFinder(regroup, 0.9)
    found = finder.find(samples[1])
    drawn = finder.draw(samples[1], THINGS, tmp_path)
    pictures = {side: cv2.imread(str(tmp_path / drawn[side]))[..., ::-1].astype(int)
                for side in ('truth', 'prediction')}
    for side, kinds in (('truth', found.errors.object_kinds), ('prediction', found.errors.kinds)):
        assert pictures[side].shape == (drawn['height'], drawn['width'], 3) == (768, 768, 3)
        for kind, color in KIND_COLORS.items():
            distance = np.abs(pictures[side] - color).max(-1)
            assert ((distance < 12).sum() > 300) == (kind in kinds)
    assert len(list(tmp_path.iterdir())) == 2


def test_work_can_be_sent_to_processes(samples, regroup):
    finder = ErrorFinder(regroup)
    expected, found = finder.find(samples[0]), pickle.loads(pickle.dumps(finder.find))(samples[0])
    assert all(map(np.array_equal, expected.errors, found.errors))


def test_image_names_are_safe_and_differ():
    names = {image_name(path, 'truth') for path in ('a/b c&<d>.jpg', 'b/b c&<d>.jpg', 'ü"#.jpg')}
    assert len(names) == 3 and all(name.isascii() for name in names)
    assert not set('&<>"# /') & set(''.join(names))
