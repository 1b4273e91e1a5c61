"""Kinds of errors: strips of pixels that can be checked by eye, and sets of pixels at random.

In a strip a letter is an object, ``.`` background and ``?`` void; a prediction is a strip of ``#``.
"""
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

from mmseg_instbox.evaluation.functional.average_precision import match_detections
from mmseg_instbox.evaluation.functional.error_analysis import (
    ERROR_KINDS,
    classify_errors,
)
from mmseg_instbox.evaluation.functional.pixel_counts import RegionOverlap, region_overlap


class Regions(NamedTuple):
    """Arguments of ``classify_errors``."""
    overlap: RegionOverlap
    labels: np.ndarray
    object_labels: np.ndarray
    scores: np.ndarray


def measure_regions(masks, labels, scores, inst_map, ids, object_labels):
    """Regions without those that lie in void only, and which are kept."""
    overlap = region_overlap(masks, inst_map, ids)
    kept = overlap.kept
    return Regions(overlap.select(kept), labels[kept], object_labels, scores[kept]), kept


def match(regions, threshold):
    """The object that each prediction finds, or -1."""
    return match_detections(regions.overlap.ious, *regions[1:], [threshold])[:, 0]


def measure(truth, categories, *predictions):
    """Regions of a strip; predictions are (strip, category, score)."""
    inst_map = np.array([[{'.': 0, '?': 255}.get(pixel, ord(pixel)) for pixel in truth]])
    ids = np.array(sorted({ord(pixel) for pixel in truth} - {ord('.'), ord('?')}), int)
    masks = np.array([[pixel == '#' for pixel in strip] for strip, _, _ in predictions], bool)
    labels = np.array([label for _, label, _ in predictions], int)
    scores = np.array([score for _, _, score in predictions], float)
    return measure_regions(masks.reshape(-1, 1, len(truth)), labels, scores, inst_map, ids,
                           np.array(categories, int))[0]


def kinds(truth, categories, *predictions, **thresholds):
    """Kinds of the predictions, kinds of the objects, as lists."""
    errors = classify_errors(*measure(truth, categories, *predictions), **thresholds)
    return errors.kinds.tolist(), errors.object_kinds.tolist()


CASES = dict(
    correct=('..AAAAAAAA..', [0], [('..#######...', 0, .9)], ['correct'], ['correct']),
    missed=('..AAAAAAAA..', [0], [], [], ['missed']),
    background=('..AAAA......', [0], [('........###.', 0, .9)], ['background'], ['missed']),
    no_objects=('............', [], [('........###.', 0, .9)], ['background'], []),
    # the second has IoU 6/8 with what the first has found
    duplicate=('..AAAAAAAA..', [0], [('..#######...', 0, .9), ('....######..', 0, .8)],
               ['correct', 'duplicate'], ['correct']),
    wrong_category=('..AAAAAAAA..', [0], [('..########..', 1, .9)], ['wrong_category'],
                    ['wrong_category']),
    # two neighbours of one category, each covered whole
    merged=('AAAAAABBBBBB', [0, 0], [('############', 0, .9)], ['merged'], ['merged', 'merged']),
    # the larger is found all the same, the smaller lost
    swallowed=('AAAAAAAAABBB', [0, 0], [('############', 0, .9)], ['correct'],
               ['correct', 'merged']),
    # half of the neighbour is not most of it
    spilt=('AAAAAAAABBBB', [0, 0], [('##########..', 0, .9)], ['correct'],
           ['correct', 'missed']),
    # the neighbour's category is another: it is lost, not merged
    other_neighbour=('AAAAAABBBBBB', [0, 1], [('############', 0, .9)], ['border'],
                     ['border', 'both']),
    split=('AAAAAAAAAAAA', [0], [('####........', 0, .9), ('.....#####..', 0, .8)],
           ['split', 'split'], ['split']),
    # joined they have 4 of 12 pixels: too little to be the object in two parts
    scraps=('AAAAAAAAAAAA', [0], [('##..........', 0, .9), ('.....##.....', 0, .8)],
            ['border', 'border'], ['border']),
    # one half has the wrong category, so no two parts
    half=('AAAAAAAAAAAA', [0], [('#####.......', 0, .9), ('.....#####..', 1, .8)],
          ['border', 'both'], ['border']),
    # what is left of an object that is found
    rest=('AAAAAAAAAAAA', [0], [('#########...', 0, .9), ('.........###', 0, .95)],
          ['correct', 'split'], ['correct']),
    border=('....AAAA....', [0], [('......######', 0, .9)], ['border'], ['border']),
    both=('....AAAA....', [0], [('......######', 1, .9)], ['both'], ['both']),
    # IoU 1/10 is not above the threshold
    scrap=('AAAAAAAAAA..', [0], [('#...........', 0, .9)], ['background'], ['missed']),
    # without void the first would have IoU 4/8, not above 1/2
    void=('AAAA????....', [0], [('######......', 0, .9), ('......##....', 1, .9)], ['correct'],
          ['correct']))


@pytest.mark.parametrize('case', CASES)
def test_kinds_of_strips(case):
    truth, categories, predictions, expected, expected_objects = CASES[case]
    assert kinds(truth, categories, *predictions) == (expected, expected_objects)


def test_all_kinds_are_among_the_strips():
    told = {kind for case in CASES.values() for kind in (*case[3], *case[4])}
    assert told == {'correct', *ERROR_KINDS}


def test_thresholds_count():
    strip = 'AAAAAAAA....', [0], ('....########', 0, .9)  # IoU 4/12
    assert kinds(*strip) == (['border'], ['border'])
    assert kinds(*strip, threshold=0.3) == (['correct'], ['correct'])
    assert kinds(*strip, background=0.4) == (['background'], ['missed'])


def test_partners_and_culprits():
    errors = classify_errors(*measure(
        'AAAAAABBBBBB.CCCCCCCC.DDDD', [0, 0, 0, 0],
        ('.............#######......', 0, .5),  # finds C
        ('############..............', 0, .6),  # merges A and B
        ('.....................#....', 1, .7),  # lies on nothing
    ))
    assert errors.kinds.tolist() == ['correct', 'merged', 'background']
    assert errors.partners.tolist() == [2, 0, -1]
    assert errors.object_kinds.tolist() == ['merged', 'merged', 'correct', 'missed']
    assert errors.culprits.tolist() == [1, 1, 0, -1]


def test_the_best_scored_part_is_the_culprit():
    parts = [('####........', 0, .3), ('....####....', 0, .7), ('........####', 0, .5)]
    assert classify_errors(*measure('AAAAAAAAAAAA', [0], *parts)).culprits.tolist() == [1]


def random_scene(seed, overlapping):
    """Objects side by side, and predictions that shift, join and divide them."""
    random = np.random.default_rng(seed)
    length = 60
    borders = np.sort(random.choice(length, random.integers(2, 8), replace=False))
    inst_map = np.searchsorted(borders, np.arange(length), side='right') + 1
    inst_map[random.random(len(borders) + 1)[inst_map - 1] < 0.2] = 0
    inst_map[random.integers(0, length, 3)] = 255
    cuts = np.sort(np.clip(borders + random.integers(-6, 7, len(borders)), 0, length))
    cuts = cuts[random.random(len(cuts)) < 0.7]
    cuts = np.append(cuts, random.integers(0, length, random.integers(0, 3)))
    pieces = np.searchsorted(np.sort(cuts), np.arange(length), side='right')
    masks = [pieces == piece for piece in np.unique(pieces) if random.random() < 0.8]
    if overlapping:
        masks += [np.roll(mask, random.integers(-3, 4)) for mask in masks]
    ids = [int(index) for index in np.unique(inst_map) if index not in (0, 255)]
    labels = random.integers(0, 4, len(masks)) // 3
    scores = random.integers(1, 6, len(masks)) / 5
    object_labels = random.integers(0, 4, len(ids)) // 3
    return inst_map, ids, masks, labels, scores, object_labels


def measure_scene(scene):
    inst_map, ids, masks, labels, scores, object_labels = scene
    masks = np.array(masks, bool).reshape(-1, 1, len(inst_map))
    return measure_regions(masks, labels, scores, inst_map[None], np.array(ids, int), object_labels)


def slow_kinds(scene, regions, kept):
    """The table of the module, read aloud over sets of pixels; t = 1/2 and b = 1/10."""
    inst_map, ids, masks, labels, _, object_labels = scene
    void = set(np.flatnonzero(inst_map == 255))
    regions_of = [set(np.flatnonzero(mask)) - void for mask, its in zip(masks, kept, strict=True)
                  if its]
    labels = np.asarray(labels)[kept]
    objects = [set(np.flatnonzero(inst_map == index)) for index in ids]
    found = match(regions, 0.5)

    def iou(a, b):
        return Fraction(len(a & b), len(a | b)) if a | b else 0

    def same(k, g):
        return labels[k] == object_labels[g]

    def covers(k, g):
        return same(k, g) and iou(regions_of[k] & objects[g], objects[g]) > 1 / 2

    def parts(g):
        return [k for k in range(len(labels)) if found[k] < 0 and same(k, g)
                and 2 * len(regions_of[k] & objects[g]) > len(regions_of[k])]

    def joined(g):
        return len(parts(g)) > 1 and (
            iou(set().union(*(regions_of[k] for k in parts(g))), objects[g]) > 1 / 2)

    def kind_of_pair(k, g):
        """All that is true of a prediction and an object."""
        true, free, overlap = set(), found[k] < 0, iou(regions_of[k], objects[g])
        if free and overlap > 1 / 2:
            true.add('duplicate' if same(k, g) else 'wrong_category')
        if covers(k, g) and sum(covers(k, other) for other in range(len(objects))) > 1:
            true.add('merged')
        if k in parts(g) and (g in found or joined(g)):
            true.add('split')
        if free and overlap > Fraction(1, 10):
            true.add('border' if same(k, g) else 'both')
        return true

    order = ['duplicate', 'wrong_category', 'merged', 'split', 'border', 'both']
    pairs = [[kind_of_pair(k, g) for g in range(len(objects))] for k in range(len(labels))]
    of_predictions = [set().union(*row) for row in pairs]
    of_objects = [set().union(*(row[g] for row in pairs)) for g in range(len(objects))]
    return (['correct' if found[k] >= 0 else min(true, key=order.index, default='background')
             for k, true in enumerate(of_predictions)],
            ['correct' if g in found else min(true, key=order.index, default='missed')
             for g, true in enumerate(of_objects)])


@pytest.mark.parametrize('overlapping', [False, True])
def test_random_scenes_agree_with_sets_of_pixels(overlapping):
    met = set()
    for seed in range(150):
        scene = random_scene(seed, overlapping)
        regions, kept = measure_scene(scene)
        if overlapping:  # joining parts that overlap is not defined by areas
            scene = (*scene[:4], None, scene[5])
        errors = classify_errors(*regions)
        expected, expected_objects = slow_kinds(scene, regions, kept)
        if not (overlapping and 'split' in (*expected, *errors.kinds)):
            assert errors.kinds.tolist() == expected
            assert errors.object_kinds.tolist() == expected_objects
        met |= {*expected, *expected_objects}
    assert met >= {'correct', *ERROR_KINDS} - {'duplicate'}
    assert ('duplicate' in met) == overlapping


def test_found_objects_are_those_of_the_matching():
    for seed in range(60):
        for threshold in (.2, .5, .7):
            regions = measure_scene(random_scene(seed, True))[0]
            found = match(regions, threshold)
            assert len(set(found[found >= 0])) == (found >= 0).sum()
            errors = classify_errors(*regions, threshold)
            assert ((errors.object_kinds == 'correct').sum() == (found >= 0).sum()
                    == (errors.kinds == 'correct').sum())
            assert errors.partners[found >= 0].tolist() == found[found >= 0].tolist()


def test_shared_pixels_are_counted_exactly():
    for seed in range(30):
        inst_map, ids, masks, *_ = scene = random_scene(seed, True)
        regions, kept = measure_scene(scene)
        overlap = regions.overlap
        masks = [mask & (inst_map != 255) for mask, its in zip(masks, kept, strict=True) if its]
        shared = [[(mask & (inst_map == index)).sum() for index in ids] for mask in masks]
        assert overlap.intersections.tolist() == [[int(count) for count in row] for row in shared]
        assert overlap.areas.tolist() == [mask.sum() for mask in masks]
        assert overlap.object_areas.tolist() == [(inst_map == index).sum() for index in ids]


def test_the_order_of_predictions_does_not_matter():
    for seed in range(40):
        inst_map, ids, masks, labels, _, object_labels = random_scene(seed, True)
        scores = np.random.default_rng(seed).permutation(len(masks)) + 1.  # no ties
        order = np.random.default_rng(seed + 1).permutation(len(masks))
        scenes = [(inst_map, ids, [masks[k] for k in chosen], labels[chosen], scores[chosen],
                   object_labels) for chosen in (np.arange(len(masks)), order)]
        (regions, kept), (shuffled, _) = (measure_scene(scene) for scene in scenes)
        kinds_of = dict(zip(regions.scores, classify_errors(*regions).kinds, strict=True))
        errors = classify_errors(*shuffled)
        assert [kinds_of[score] for score in shuffled.scores] == errors.kinds.tolist()
        assert errors.object_kinds.tolist() == classify_errors(*regions).object_kinds.tolist()
