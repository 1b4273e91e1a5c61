import json
import pickle

import cv2
import numpy as np
import pytest
from mmseg.registry import TASK_UTILS

from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.error_report import (
    KIND_COLORS,
    KIND_TITLES,
    ErrorFinder,
    draw_kinds,
    error_costs,
    fixed_precision,
    image_name,
    summarise,
)
from mmseg_instbox.evaluation.functional.average_precision import (
    average_precision_table,
    match_detections,
)
from mmseg_instbox.evaluation.functional.error_analysis import CORRECT, ERROR_KINDS, classify_errors
from mmseg_instbox.evaluation.functional.pixel_counts import RegionOverlap
from mmseg_instbox.evaluation.replay import Regroup, replay

THINGS = ('square', 'disc')


@pytest.fixture
def samples(tiny_config, tiny_dump):
    return DumpedSamples.from_config(load_config(str(tiny_config)), tiny_dump)


@pytest.fixture
def regroup(samples):
    """A grouper so blunt that it makes mistakes, the more so at a high threshold."""
    return Regroup(TASK_UTILS.build(dict(type='PixelBoxGrouper', merge_iou=0.1)), samples.thing_ids)


def make_errors(predictions, objects):
    """Errors of an image: (kind, category, score) and (kind, category, culprit) of each."""
    return dict(
        img_path='a.jpg', cost=0.,
        objects=[dict(kind=kind, category=category, prediction=culprit)
                 for kind, category, culprit in objects],
        predictions=[dict(kind=kind, category=category, score=score, object=None)
                     for kind, category, score in predictions])


def nothing(num_objects=0, num_predictions=0):
    """An image whose predictions and objects have nothing to do with one another."""
    return make_errors([('background', 'square', .5)] * num_predictions,
                       [('missed', 'square', None)] * num_objects)


@pytest.mark.parametrize('threshold', [0.5, 0.9])
def test_average_precision_is_the_metrics(samples, regroup, threshold):
    finder = ErrorFinder(regroup, samples.dataset_meta, threshold)
    report = summarise([finder.find(samples[index]) for index in range(4)], THINGS)
    figures, = replay(samples, [regroup])
    assert report['AP'] == figures[f'APr_{threshold}']
    assert threshold < 0.9 or report['AP'] < 1
    assert report['AP_all_fixed'] == 1


def test_every_object_and_every_prediction_is_told(samples, regroup):
    finder = ErrorFinder(regroup, samples.dataset_meta, 0.9)
    found = [finder.find(samples[index]) for index in range(4)]
    report = json.loads(json.dumps(summarise(found, THINGS)))
    assert [image['cost'] for image in report['images']] == sorted(
        (image['cost'] for image in report['images']), reverse=True)
    assert sorted(image['index'] for image in report['images']) == [0, 1, 2, 3]
    for image in report['images']:
        sample = samples[image['index']]
        assert image['cost'] == pytest.approx(
            sum(each['kind'] != 'correct' for each in image['objects'])
            + sum(each['score'] for each in image['predictions'] if each['kind'] != 'correct'))
        assert image['img_path'] == sample['img_path']
        assert [each['id'] for each in image['objects']] == [1, 2, 3]
        assert [each['category'] for each in image['objects']] == ['square', 'square', 'disc']
        inst_map = sample['gt_inst_map']['data']
        assert [each['area'] for each in image['objects']] == [
            int((inst_map == index).sum()) for index in (1, 2, 3)]
        places = [(inst_map[0] == index).nonzero() for index in (1, 2, 3)]
        assert [each['fill'] for each in image['objects']] == pytest.approx([
            len(pixels) / int((pixels.amax(0) - pixels.amin(0) + 1).prod())
            for pixels in places])
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
    finder = ErrorFinder(regroup, samples.dataset_meta, 0.9)
    found = finder.find(samples[1])
    drawn = finder.draw(samples[1], tmp_path)
    pictures = {side: cv2.imread(str(tmp_path / drawn[side]))[..., ::-1].astype(int)
                for side in ('truth', 'prediction')}
    for side, key in (('truth', 'objects'), ('prediction', 'predictions')):
        kinds = {each['kind'] for each in found[key]}
        assert pictures[side].shape == (drawn['height'], drawn['width'], 3) == (768, 768, 3)
        for kind, color in KIND_COLORS.items():
            distance = np.abs(pictures[side] - color).max(-1)
            assert ((distance < 12).sum() > 300) == (kind in kinds)
    assert len(list(tmp_path.iterdir())) == 2


def test_work_can_be_sent_to_processes(samples, regroup):
    finder = ErrorFinder(regroup, samples.dataset_meta)
    expected, found = finder.find(samples[0]), pickle.loads(pickle.dumps(finder.find))(samples[0])
    assert expected == found and len(found['objects']) == 3


def test_image_names_are_safe_and_differ():
    names = {image_name(path, 'truth') for path in ('a/b c&<d>.jpg', 'b/b c&<d>.jpg', 'ü"#.jpg')}
    assert len(names) == 3 and all(name.isascii() for name in names)
    assert not set('&<>"# /') & set(''.join(names))


FIRST = make_errors([('correct', 'a', .9), ('background', 'a', .8), ('border', 'a', .7)],
                    [('correct', 'a', 0), ('border', 'a', 2)])
SECOND = make_errors([('correct', 'a', .6)], [('missed', 'a', None), ('correct', 'a', 0)])


def test_costs_by_hand():
    costs = {key: value.tolist() for key, value in error_costs([FIRST, SECOND], 'a').items()}
    # true, false, false, true of 4 objects: precision 1 and 1/2
    assert costs['AP'] == [pytest.approx((1 + 1 / 2) / 4)]
    # true, false, true
    assert costs['background'] == [pytest.approx((1 + 2 / 3) / 4 - .375)]
    # true, false, true, true: the third precision, 3/4, holds for the second as well
    assert costs['border'] == [pytest.approx((1 + 3 / 4 + 3 / 4) / 4 - .375)]
    # 3 objects
    assert costs['missed'] == [pytest.approx((1 + 1 / 2) / 3 - .375)]
    assert costs['AP_all_fixed'] == [1.]
    for kind in ('merged', 'split', 'duplicate', 'wrong_category', 'both'):
        assert costs[kind] == [0.]


def test_several_kinds_are_fixed_together():
    # true, true, true of 3 objects
    assert fixed_precision([FIRST, SECOND], 'a', ['background', 'border', 'missed']) == [1.]
    # true, true, true of 4
    assert fixed_precision([FIRST, SECOND], 'a', ['background', 'border']) == [.75]


def test_a_wrong_category_costs_both_categories():
    image = make_errors([('wrong_category', 'b', .9), ('correct', 'b', .8)],
                        [('wrong_category', 'a', 0), ('correct', 'b', 1)])
    costs = error_costs([image], 'ab')
    assert costs['AP'].tolist() == [0., .5]
    assert costs['wrong_category'].tolist() == [1., .5]


def test_of_several_culprits_only_one_is_healed():
    image = make_errors([('split', 'a', .5), ('split', 'a', .9), ('background', 'a', .7)],
                        [('split', 'a', 1)])
    # the better part comes before the false one
    assert fixed_precision([image], 'a', ['split']) == [1.]
    image['objects'][0]['prediction'] = 0
    assert fixed_precision([image], 'a', ['split']) == [.5]


def test_an_object_swallowed_by_a_hit_takes_its_score():
    image = make_errors([('correct', 'a', .8), ('background', 'a', .9)],
                        [('correct', 'a', 0), ('merged', 'a', 0)])
    # false, true, then false, true, true
    assert fixed_precision([image], 'a').tolist() == [.25]
    assert fixed_precision([image], 'a', ['merged']).tolist() == [pytest.approx(2 / 3)]


def test_a_category_that_is_missed_altogether():
    image = make_errors([('correct', 'a', .5)], [('correct', 'a', 0), ('missed', 'c', None)])
    costs = error_costs([image], 'abc')
    assert np.isnan(costs['AP'][1]) and np.isnan(costs['missed'][1])
    assert costs['AP'][[0, 2]].tolist() == [1., 0.]
    assert costs['missed'][[0, 2]].tolist() == [0., 1.]
    assert costs['AP_all_fixed'][[0, 2]].tolist() == [1., 1.]


def random_regions(seed):
    """Arguments of ``classify_errors``, of predictions that do not overlap one another."""
    random = np.random.default_rng(seed)
    num_predictions, num_objects = random.integers(0, 7), random.integers(0, 6)
    shared = random.integers(0, 50, (num_predictions, num_objects))
    shared *= random.random(shared.shape) < 0.4
    areas = shared.sum(1) + random.integers(1, 40, num_predictions)
    object_areas = shared.sum(0) + random.integers(1, 40, num_objects)
    return (RegionOverlap(shared, areas, np.zeros_like(areas), object_areas),
            random.integers(0, 2, num_predictions), random.integers(0, 2, num_objects),
            random.integers(1, 6, num_predictions) / 5)


def classify_random(seed, threshold):
    """The errors of an image, whose categories are 'a' and 'b', as a report has them."""
    _, labels, object_labels, scores = regions = random_regions(seed)
    found = classify_errors(*regions, threshold)
    culprits = [culprit if culprit >= 0 else None for culprit in found.culprits.tolist()]
    names, object_names = (['ab'[label] for label in each] for each in (labels, object_labels))
    return make_errors(zip(found.kinds, names, scores, strict=True),
                       zip(found.object_kinds, object_names, culprits, strict=True))


@pytest.mark.parametrize('threshold', [.3, .5, .7])
def test_random_images(threshold):
    regions = [random_regions(seed) for seed in range(80)]
    images = [classify_random(seed, threshold) for seed in range(80)]
    hits = [match_detections(overlap.ious, *its, [threshold]) >= 0 for overlap, *its in regions]
    labels, object_labels, scores = map(np.concatenate, list(zip(*regions, strict=True))[1:])
    table = average_precision_table(
        labels, scores, np.concatenate(hits), np.bincount(object_labels))
    costs = error_costs(images, 'ab')
    assert costs['AP'].tolist() == table[:, 0].tolist()
    assert (costs['AP_all_fixed'] == 1).all() and (costs['AP'] < 1).all()
    met = {each['kind'] for image in images for each in image['objects'] + image['predictions']}
    assert {'missed', 'border', 'background', 'both'} <= met
    for kind in ERROR_KINDS:
        assert (costs[kind] >= 0).all() and (costs[kind].sum() > 0) == (kind in met)


GREY = np.full((100, 200, 3), 90, np.uint8)


def draw(*kinds, names=None, void=None):
    """Triangles below the diagonals of two boxes; the picture is 4 times as large."""
    triangle = np.tri(60, dtype=bool)
    masks = np.zeros((2, 100, 200), bool)
    masks[0, 20:80, 20:80], masks[1, 20:80, 120:180] = triangle, triangle
    boxes = np.array([[20, 20, 80, 80], [120, 20, 180, 80]], np.float32)
    count = len(kinds)
    return draw_kinds(GREY, masks[:count], boxes[:count], names or ['cat'] * count, kinds, void)


def test_every_kind_has_a_colour_and_a_title():
    assert set(KIND_COLORS) == set(KIND_TITLES) == {CORRECT, *ERROR_KINDS}
    assert len(set(KIND_TITLES.values())) == len(KIND_TITLES)
    colors = np.array(list(KIND_COLORS.values()))
    distance = np.abs(colors[:, None] - colors).sum(-1) + 999 * np.eye(len(colors), dtype=int)
    assert distance.min() > 90


@pytest.mark.parametrize('kind', KIND_COLORS)
def test_outlines_and_labels_have_the_colour_of_the_kind(kind):
    picture = draw(kind)
    rows, columns = np.nonzero((picture == KIND_COLORS[kind]).all(-1))
    assert picture.shape == (400, 800, 3) and len(rows) > 1000
    # the outline reaches the triangle's corners, nothing the other half of the picture
    assert rows.max() >= 318 and columns.min() <= 81 and columns.max() < 400
    assert (picture[:, 500:] == 90).all()


def test_kinds_are_drawn_without_boxes():
    assert (draw('missed')[100:300, 316:324] == 90).all()


def test_each_is_drawn_by_its_own_kind():
    picture = draw('merged', 'missed')
    for half, kind, other in ((picture[:, :400], 'merged', 'missed'),
                              (picture[:, 400:], 'missed', 'merged')):
        assert (half == KIND_COLORS[kind]).all(-1).any()
        assert not (half == KIND_COLORS[other]).all(-1).any()


def test_labels_say_what_went_wrong():
    assert not np.array_equal(draw('border'), draw('border', names=['dog']))
    colors = {kind: (draw(kind) == KIND_COLORS[kind]).all(-1) for kind in ('correct', 'both')}
    widths = {kind: np.ptp(np.nonzero(found[:80])[1]) for kind, found in colors.items()}
    assert widths['both'] > 2 * widths['correct'] > 0  # 'cat' against '...: cat'


def test_void_beside_kinds_is_hatched_and_nothing_is_fine():
    void = np.zeros((100, 200), bool)
    void[:, 190:] = True
    picture = draw(void=void)
    assert (picture[:, :760] == 90).all() and (picture[:, 760:] != 90).all()
