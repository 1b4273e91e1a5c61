import json
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from metric_samples import (
    META,
    evaluate,
    make_sample,
    random_sample,
    slow_average_precision,
    slow_panoptic_quality,
)
from mmengine.structures import InstanceData, PixelData
from mmseg.evaluation.metrics import IoUMetric
from mmseg.registry import METRICS, TASK_UTILS

from mmseg_instbox.evaluation import InstBoxMetric

KEYS = ['mIoU', 'APr_0.5', 'APr_0.6', 'APr_0.7', 'APr_0.8', 'APr_0.9', 'APr_vol']
COCO_KEYS = ['AP', 'AP50', 'AP75', 'AP_s', 'AP_m', 'AP_l']
PANOPTIC_KEYS = ['PQ', 'SQ', 'RQ', 'PQ_things', 'PQ_stuff']


class FakeGrouper:
    """Gives the cells of category 3 as one instance, and remembers what it was asked."""

    def __init__(self):
        self.asked = None

    def __call__(self, scores, boxes, img_shape, thing_ids, extent=None, seg_map=None):
        self.asked = dict(scores=scores, boxes=boxes, img_shape=img_shape, thing_ids=thing_ids,
                          extent=extent, seg_map=seg_map)
        cells = scores.argmax(0) == 3
        masks = cells.repeat_interleave(2, 0).repeat_interleave(2, 1)[None]
        return InstanceData(masks=masks, labels=torch.zeros(1, dtype=torch.int64),
                            scores=torch.ones(1), bboxes=torch.zeros(1, 4))


@pytest.fixture
def fake_grouper():
    TASK_UTILS.register_module(module=FakeGrouper, force=True)
    yield dict(type='FakeGrouper')
    del TASK_UTILS.module_dict['FakeGrouper']


def dog_sample(keep_boxes=True):
    """A dog on the left half of 4 x 8 pixels, seen nowhere by the model."""
    inst_map = np.zeros((4, 8), int)
    inst_map[:, :4] = 5
    sample = make_sample(inst_map, [0], [], [], [])
    if keep_boxes:
        sample.pred_boxes = PixelData(data=torch.tensor(
            [0., 0., 4., 4.]).view(4, 1, 1).repeat(1, 2, 4))
        sample.pred_scores = PixelData(data=torch.full((4, 2, 4), 0.25))
        sample.set_metainfo(dict(grid_extent=(4, 8)))
    return sample


def test_is_registered_in_mmseg():
    assert isinstance(METRICS.build(dict(type='InstBoxMetric')), InstBoxMetric)


def test_perfect_predictions():
    inst_map = np.array([[1, 1, 0, 2], [1, 1, 0, 2]])
    masks = [inst_map == 1, inst_map == 2]
    figures = evaluate([make_sample(inst_map, [0, 1], masks, [0, 1], [.9, .8])])
    assert list(figures) == KEYS
    assert figures == dict.fromkeys(KEYS, 1.)


def test_hand_computed_over_two_images():
    # dogs: 4 pixels each. Image 1: dog A found with IoU 3/4 (score .9), a false one (.8).
    # Image 2: dog B found with IoU 1 (.7). True, false, true of 2: 1/2 * 1 + 1/2 * 2/3 = 5/6 where
    # A counts (thresholds up to 0.7), else false, false, true of 2: 1/2 * 1/3 = 1/6.
    # Cats have no object and are left out, though one is predicted.
    row = np.array([[1, 1, 1, 1, 0, 0, 0, 0]])
    first = make_sample(row, [0], [[[1, 1, 1, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 1, 1, 0, 0]]], [0, 0],
                        [.9, .8])
    second = make_sample(row, [0], [[[1, 1, 1, 1, 0, 0, 0, 0]], [[0, 0, 0, 0, 1, 0, 0, 0]]], [0, 1],
                         [.7, .95])
    figures = evaluate([first, second])
    high, low = pytest.approx(5 / 6, abs=1e-15), pytest.approx(1 / 6, abs=1e-15)
    assert [figures[key] for key in KEYS[1:6]] == [high, high, high, low, low]
    assert figures['APr_vol'] == pytest.approx((7 * 5 / 6 + 2 / 6) / 9, abs=1e-15)


def test_ties_between_images_keep_data_set_order():
    row = np.array([[1, 1, 0, 0]])
    good = make_sample(row, [0], [row == 1], [0], [.5])
    bad = make_sample(row, [0], [row == 0], [0], [.5])
    # true then false of 2: 1/2; false then true of 2: 1/2 * 1/2
    assert evaluate([good, bad])['APr_0.5'] == 0.5
    assert evaluate([bad, good])['APr_0.5'] == 0.25


def test_duplicates_cost():
    row = np.array([[1, 1, 0, 2, 2]])
    masks = [row == 1, row == 1, row == 2]
    # true, false, true of 2 objects: 1/2 + 1/2 * 2/3
    figures = evaluate([make_sample(row, [0, 0], masks, [0, 0, 0], [.9, .8, .7])])
    assert figures['APr_0.9'] == pytest.approx(5 / 6, abs=1e-15)


def test_void():
    row = np.array([[1, 1, 255, 255, 0]])
    # reaching into the void costs nothing, and lying in it is not a false detection
    masks = [[[1, 1, 1, 0, 0]], [[0, 0, 1, 1, 0]]]
    figures = evaluate([make_sample(row, [0], masks, [0, 0], [.5, .9])])
    assert figures['APr_0.9'] == 1.
    # one pixel beyond the void makes it one
    masks[1] = [[0, 0, 1, 1, 1]]
    figures = evaluate([make_sample(row, [0], masks, [0, 0], [.5, .9])])
    assert figures['APr_0.9'] == 0.5


@pytest.mark.parametrize('first', [0, 100, 200])
def test_agrees_with_slow_implementation(first):
    samples = [random_sample(seed) for seed in range(first, first + 12)]
    figures = evaluate(samples)
    expected = {}
    for tenths in range(1, 10):
        values = [slow_average_precision(samples, label, Fraction(tenths, 10)) for label in (0, 1)]
        defined = [value for value in values if value is not None]
        expected[tenths] = float(sum(defined) / len(defined))
    assert 0.01 < expected[5] < 0.9  # else the case would say little
    for tenths in range(5, 10):
        assert figures[f'APr_0.{tenths}'] == pytest.approx(expected[tenths], abs=1e-12)
    assert figures['APr_vol'] == pytest.approx(sum(expected.values()) / 9, abs=1e-12)


def test_mean_iou_is_mmsegs():
    samples = [random_sample(seed) for seed in range(5)]
    figures = evaluate(samples, [InstBoxMetric(), IoUMetric(prefix='mmseg')])
    assert figures['mIoU'] == pytest.approx(figures['mmseg/mIoU'] / 100, abs=5.1e-5)
    assert 0.05 < figures['mIoU'] < 0.95


@pytest.mark.parametrize('first', [0, 100])
def test_panoptic_quality_agrees_with_slow_implementation(first):
    samples = [nearly_right(random_sample(seed), seed) for seed in range(first, first + 12)]
    figures = evaluate(samples, [InstBoxMetric(panoptic=True)])
    expected = slow_panoptic_quality(samples)
    assert all(0.02 < each[0] < 0.98 for each in expected)
    for index, key in enumerate(('PQ', 'SQ', 'RQ')):
        mean = sum(each[index] for each in expected) / 4
        assert figures[key] == pytest.approx(float(mean), abs=1e-12)
    for key, (one, other) in dict(PQ_things=(1, 3), PQ_stuff=(0, 2)).items():
        mean = (expected[one][0] + expected[other][0]) / 2
        assert figures[key] == pytest.approx(float(mean), abs=1e-12)


def nearly_right(sample, seed):
    """Put road into the truth, thing pixels without an object and void; predict most of it."""
    random = np.random.default_rng(seed)
    truth = sample.gt_sem_seg.data[0]
    free = sample.gt_inst_map.data[0] == 0
    for category, column in ((2, slice(0, 5)), (3, slice(7, 8)), (255, slice(9, 10))):
        truth[:, column][free[:, column]] = category
    right = torch.from_numpy(random.random(truth.shape) < random.uniform(.6, 1.)) & (truth < 255)
    predicted = sample.pred_sem_seg.data[0]
    predicted[right] = truth[right]
    # else the mask at random, of score up to 1, would cut most of the instances
    sample.pred_instances.scores[0] = 0.
    return sample


def test_coco_figures_are_of_the_instances_of_apr():
    # 78 of 100 pixels found: 6 of COCO's thresholds; a second image adds a false one in the void
    inst_map = np.zeros((10, 12), int)
    inst_map[:, :10], inst_map[:, 11] = 1, 255
    mask = np.arange(120).reshape(10, 12) // 12 + 10 * (np.arange(12) % 12) < 78
    sample = make_sample(inst_map, [0], [mask & (inst_map == 1)], [0], [.5])
    void = make_sample(inst_map, [0], [inst_map == 255, inst_map == 1], [0, 0], [.9, .8])
    figures = evaluate([sample, void], [InstBoxMetric(coco=True)])
    assert list(figures) == KEYS + COCO_KEYS
    # both found up to 0.75, then the second only, which comes first: recall 1/2 is 51 of 101
    high = pytest.approx(.6 + .4 * 51 / 101, abs=1e-9)
    assert [figures[key] for key in COCO_KEYS] == [high, 1., 1., high, 0., 0.]


def test_perfect_panoptic_map():
    inst_map = np.array([[1, 1, 0, 2, 0], [1, 1, 0, 2, 0]])
    sample = make_sample(inst_map, [0, 1], [inst_map == 1, inst_map == 2], [0, 1], [.9, .8])
    figures = evaluate([sample], [InstBoxMetric(panoptic=True)])
    assert figures == dict.fromkeys(KEYS + PANOPTIC_KEYS, 1.)


def test_true_categories_make_true_stuff(fake_grouper):
    sample = dog_sample()
    sample.pred_sem_seg.data[:] = 2
    oracle = InstBoxMetric(true_categories=True, grouper=fake_grouper, panoptic=True)
    assert evaluate([sample], [oracle])['PQ'] == 1.
    # road everywhere: no dog, no background, one false road
    assert evaluate([sample], [InstBoxMetric(panoptic=True)])['PQ'] == 0.


@pytest.fixture
def said(monkeypatch):
    """What the metric logs."""
    texts = []
    monkeypatch.setattr('mmseg_instbox.evaluation.metrics.inst_box_metric.print_log',
                        lambda text, **_: texts.append(text))
    return texts


def test_cells_that_were_not_grouped_are_counted_in_the_log(said):
    samples = [make_sample([[1, 1, 0]], [0], [[[1, 1, 0]]], [0], [0.5], pred_sem_seg=[[1, 1, 0]])
               for _ in range(2)]
    for sample in samples:
        sample.pred_instances.set_metainfo(dict(num_invalid=3))
    evaluate(samples)
    assert said[0].startswith('6 cells of the 2 images were left out of the grouping')


def test_no_predictions_give_zeros_and_say_so(said, tmp_path):
    samples = [make_sample([[1, 1, 0]], [0], [], [], [], pred_sem_seg=[[2, 2, 2]])
               for _ in range(2)]
    assert evaluate(samples) == dict.fromkeys(KEYS, 0.)
    assert said[0].startswith('the model predicted no instance in any of the 2 images')
    everything = [InstBoxMetric(coco=True, panoptic=True)]
    assert evaluate(samples, everything) == dict.fromkeys(KEYS + COCO_KEYS + PANOPTIC_KEYS, 0.)
    one = make_sample([[1, 1, 0]], [0], [[[0, 0, 1]]], [0], [.5], pred_sem_seg=[[2, 2, 2]])
    said.clear()
    assert evaluate([*samples, one]) == dict.fromkeys(KEYS, 0.)
    assert not any('no instance' in text for text in said)


def test_no_ground_truth_gives_zeros_and_says_so(said):
    sample = make_sample([[255, 255]], [], [[[1, 1]]], [0], [1.])
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, 1, 2, dtype=torch.int64))
    everything = [InstBoxMetric(coco=True, panoptic=True)]
    figures = evaluate([sample], everything)
    assert figures == dict.fromkeys(KEYS + COCO_KEYS + PANOPTIC_KEYS, 0.)
    assert any(text.startswith('AP_l is not defined: no object above 96') for text in said)
    assert any(text.startswith('PQ is not defined: no segment') for text in said)
    assert any(text.startswith('mIoU is not defined') for text in said)
    assert any(text.startswith('APr_0.5 is not defined: no object') for text in said)


def test_table_and_file(tmp_path):
    out_file = tmp_path / 'new' / 'figures.json'
    row = np.array([[1, 1, 0]])
    sample = make_sample(row, [0], [row == 1], [0], [.5])
    figures = evaluate([sample], [InstBoxMetric(out_file=str(out_file), coco=True, panoptic=True)])
    content = json.loads(out_file.read_text())
    assert content['metrics'] == figures
    rows = {entry['category']: entry for entry in content['categories']}
    assert list(rows) == list(META['classes'])
    assert rows['dog']['APr_0.7'] == 1. and rows['dog']['objects'] == 1
    assert rows['dog']['SQ'] == rows['background']['PQ'] == 1.
    assert rows['dog']['AP75'] == pytest.approx(1.)
    assert rows['dog']['AP_l'] is rows['cat']['AP'] is rows['cat']['PQ'] is None
    assert rows['background']['AP'] is None
    assert rows['cat']['APr_vol'] is None and rows['cat']['objects'] == 0
    assert rows['road']['objects'] is None and rows['road']['IoU'] is None
    assert [path.name for path in out_file.parent.iterdir()] == ['figures.json']


@pytest.mark.parametrize('options, limit', [({}, 1000), (dict(coco=True, panoptic=True), 2500)])
def test_what_is_kept_of_an_image_is_small(options, limit):
    metric = InstBoxMetric(**options)
    metric.dataset_meta = META
    for size in ((120, 150), (480, 600)):
        metric.process({}, [random_sample(1, size=size).to_dict()])
    kept = [len(pickle.dumps(result)) for result in metric.results]
    assert max(kept) < limit and abs(kept[0] - kept[1]) < 100  # whatever the image's size


def test_figures_of_two_ground_truths_are_named_apart(tmp_path, said):
    row = np.array([[1, 1, 0]])
    sample = make_sample(row, [0], [row == 1], [0], [.5])
    files = {name: tmp_path / f'{name}.json' for name in ('sbd', 'voc')}
    figures = evaluate([sample], [
        InstBoxMetric(prefix=name, out_file=str(file)) for name, file in files.items()])
    assert list(figures) == [f'{name}/{key}' for name in files for key in KEYS]
    for name, file in files.items():
        assert list(json.loads(file.read_text())['metrics']) == [f'{name}/{key}' for key in KEYS]
        assert any(text.startswith(f'{name}, per category, 1 images:') for text in said)


def test_prefixes_separate_two_metrics(fake_grouper):
    figures = evaluate([dog_sample()], [
        InstBoxMetric(), InstBoxMetric(true_categories=True, grouper=fake_grouper, prefix='oracle')
    ])
    assert figures['APr_0.5'] == 0. and figures['oracle/APr_0.5'] == 1.


def test_regroups_from_boxes(fake_grouper):
    metric = InstBoxMetric(grouper=fake_grouper)
    sample = dog_sample()
    sample.pred_scores.data[3, :, :2] = 0.9
    assert evaluate([sample], [metric])['APr_0.9'] == 1.
    asked = metric.grouper.asked
    assert torch.equal(asked['scores'], sample.pred_scores.data)
    assert torch.equal(asked['boxes'], sample.pred_boxes.data)
    assert asked['img_shape'] == (4, 8) and asked['extent'] == (4, 8)
    assert list(asked['thing_ids']) == [3, 1] and asked['seg_map'] is None


def test_true_categories_reach_the_grouper(fake_grouper):
    metric = InstBoxMetric(grouper=fake_grouper, true_categories=True)
    sample = dog_sample()
    sample.gt_sem_seg.data[0, :, 7] = 255
    evaluate([sample], [metric])
    seg_map = metric.grouper.asked['seg_map']
    assert seg_map[:, :4].eq(3).all() and seg_map[:, 4:].eq(0).all()
    assert metric.grouper.asked['scores'].argmax(0).tolist() == [[3, 3, 0, 0]] * 2


def test_true_categories_with_the_real_grouper():
    from mmseg_instbox.models.task_modules import PixelBoxGrouper  # noqa: F401 (registers it)
    inst_map = np.zeros((64, 96), int)
    inst_map[8:56, 0:40], inst_map[8:56, 40:88] = 1, 2
    sample = make_sample(inst_map, [0, 0], [], [], [])
    boxes = torch.zeros(4, 8, 12)
    boxes[:, :, :5] = torch.tensor([0., 8., 40., 56.]).view(4, 1, 1)
    boxes[:, :, 5:] = torch.tensor([40., 8., 88., 56.]).view(4, 1, 1)
    sample.pred_boxes = PixelData(data=boxes)
    sample.pred_scores = PixelData(data=torch.full((4, 8, 12), 0.25))
    sample.set_metainfo(dict(grid_extent=(64, 96)))
    assert evaluate([sample], [InstBoxMetric(true_categories=True)])['APr_0.9'] == 1.


def test_regrouping_without_boxes_is_an_error(fake_grouper):
    with pytest.raises(ValueError, match=r'picture.jpg has no pred_boxes.*keep_boxes=True'):
        evaluate([dog_sample(keep_boxes=False)], [InstBoxMetric(grouper=fake_grouper)])


def test_true_categories_need_a_background(fake_grouper):
    metric = InstBoxMetric(grouper=fake_grouper, true_categories=True)
    meta = dict(classes=META['classes'], thing_classes=('background', 'dog'))
    with pytest.raises(ValueError, match="category 0 has no instances, not 'background', a thing"):
        evaluate([dog_sample()], [metric], meta)


@pytest.mark.parametrize('meta, message', [
    (dict(classes=('a', 'b')), "'thing_classes'"),
    (dict(classes=('a', 'b'), thing_classes=('c', )), r"\['c'\] are not among"),
])
def test_metainfo_without_things_is_an_error(meta, message):
    with pytest.raises(ValueError, match=message):
        evaluate([dog_sample()], meta=meta)
