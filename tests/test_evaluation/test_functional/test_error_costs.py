import numpy as np
import pytest

from mmseg_instbox.evaluation.functional.average_precision import (
    average_precision_table,
    match_detections,
)
from mmseg_instbox.evaluation.functional.error_analysis import (
    ERROR_KINDS,
    ImageErrors,
    Regions,
    classify_errors,
)
from mmseg_instbox.evaluation.functional.error_costs import (
    count_kinds,
    error_costs,
    fixed_precision,
    image_cost,
)


def make_errors(predictions, objects):
    """Errors of an image: (kind, label, score) a prediction, (kind, label, culprit) an object."""
    kinds, labels, scores = ([each[i] for each in predictions] for i in range(3))
    object_kinds, object_labels, culprits = ([each[i] for each in objects] for i in range(3))
    return ImageErrors(
        np.array(kinds, '<U16'), np.array(object_kinds, '<U16'), np.full(len(kinds), -1),
        np.array(culprits, int), np.array(labels, int), np.array(object_labels, int),
        np.array(scores, float))


FIRST = make_errors([('correct', 0, .9), ('background', 0, .8), ('border', 0, .7)],
                    [('correct', 0, 0), ('border', 0, 2)])
SECOND = make_errors([('correct', 0, .6)], [('missed', 0, -1), ('correct', 0, 0)])


def test_costs_by_hand():
    costs = {key: value.tolist() for key, value in error_costs([FIRST, SECOND], 1).items()}
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
    assert fixed_precision([FIRST, SECOND], 1, ['background', 'border', 'missed']) == [1.]
    # true, true, true of 4
    assert fixed_precision([FIRST, SECOND], 1, ['background', 'border']) == [.75]


def test_a_wrong_category_costs_both_categories():
    image = make_errors([('wrong_category', 1, .9), ('correct', 1, .8)],
                        [('wrong_category', 0, 0), ('correct', 1, 1)])
    costs = error_costs([image], 2)
    assert costs['AP'].tolist() == [0., .5]
    assert costs['wrong_category'].tolist() == [1., .5]


def test_of_several_culprits_only_one_is_healed():
    image = make_errors([('split', 0, .5), ('split', 0, .9), ('background', 0, .7)],
                        [('split', 0, 1)])
    # the better part comes before the false one
    assert fixed_precision([image], 1, ['split']) == [1.]
    image.culprits[0] = 0
    assert fixed_precision([image], 1, ['split']) == [.5]


def test_an_object_swallowed_by_a_hit_takes_its_score():
    image = make_errors([('correct', 0, .8), ('background', 0, .9)],
                        [('correct', 0, 0), ('merged', 0, 0)])
    # false, true, then false, true, true
    assert fixed_precision([image], 1).tolist() == [.25]
    assert fixed_precision([image], 1, ['merged']).tolist() == [pytest.approx(2 / 3)]


def test_a_category_that_is_missed_altogether():
    image = make_errors([('correct', 0, .5)], [('correct', 0, 0), ('missed', 2, -1)])
    costs = error_costs([image], 3)
    assert np.isnan(costs['AP'][1]) and np.isnan(costs['missed'][1])
    assert costs['AP'][[0, 2]].tolist() == [1., 0.]
    assert costs['missed'][[0, 2]].tolist() == [0., 1.]
    assert costs['AP_all_fixed'][[0, 2]].tolist() == [1., 1.]


def test_counts():
    counts = count_kinds([FIRST, SECOND, make_errors([('background', 1, .1)], [])], 2)
    assert counts['predictions']['correct'].tolist() == [2, 0]
    assert counts['predictions']['background'].tolist() == [1, 1]
    assert counts['objects']['missed'].tolist() == counts['objects']['border'].tolist() == [1, 0]
    assert sum(values.sum() for values in counts['objects'].values()) == 4
    assert sum(values.sum() for values in counts['predictions'].values()) == 5


def test_cost_of_an_image():
    assert image_cost(FIRST) == pytest.approx(1 + .8 + .7)
    assert image_cost(SECOND) == 1.
    assert image_cost(make_errors([('correct', 0, .9)], [('correct', 0, 0)])) == 0.


def random_regions(seed):
    """Overlaps of objects and of predictions that do not overlap one another."""
    random = np.random.default_rng(seed)
    num_predictions, num_objects = random.integers(0, 7), random.integers(0, 6)
    shared = random.integers(0, 50, (num_predictions, num_objects))
    shared *= random.random(shared.shape) < 0.4
    areas = shared.sum(1) + random.integers(1, 40, num_predictions)
    object_areas = shared.sum(0) + random.integers(1, 40, num_objects)
    ious = shared / (areas[:, None] + object_areas - shared)
    return Regions(ious, shared, areas, object_areas, random.integers(0, 2, num_predictions),
                   random.integers(0, 2, num_objects),
                   random.integers(1, 6, num_predictions) / 5)


@pytest.mark.parametrize('threshold', [.3, .5, .7])
def test_random_images(threshold):
    regions = [random_regions(seed) for seed in range(80)]
    images = [classify_errors(each, threshold) for each in regions]
    hits = [match_detections(each.ious, each.labels, each.object_labels, each.scores,
                             [threshold]) >= 0 for each in regions]
    labels, scores, object_labels = (
        np.concatenate([getattr(each, key) for each in regions])
        for key in ('labels', 'scores', 'object_labels'))
    num_objects = np.bincount(object_labels)
    table = average_precision_table(labels, scores, np.concatenate(hits), num_objects)
    costs = error_costs(images, 2)
    assert costs['AP'].tolist() == table[:, 0].tolist()
    assert (costs['AP_all_fixed'] == 1).all() and (costs['AP'] < 1).all()
    for kind in ERROR_KINDS:
        assert (costs[kind] >= 0).all()
        if any(kind in (*image.kinds, *image.object_kinds) for image in images):
            assert costs[kind].sum() > 0
    for known in ('missed', 'border', 'background', 'both'):
        assert costs[known].sum() > 0
