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
)
from mmengine.structures import PixelData
from mmseg.evaluation.metrics import IoUMetric
from mmseg.registry import METRICS

from mmseg_instbox.evaluation import (
    InstBoxMetric,
    InstCocoMetric,
    InstPanopticMetric,
    sample_reader,
)

KEYS = ['mIoU', 'APr_0.5', 'APr_0.6', 'APr_0.7', 'APr_0.8', 'APr_0.9', 'APr_vol']
COCO_KEYS = ['AP', 'AP50', 'AP75', 'AP_s', 'AP_m', 'AP_l']
PANOPTIC_KEYS = ['PQ', 'SQ', 'RQ', 'PQ_things', 'PQ_stuff']


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


@pytest.fixture
def said(monkeypatch):
    """What the metric logs."""
    texts = []
    for module in ('inst_box_metric', 'base_metric'):
        monkeypatch.setattr(f'mmseg_instbox.evaluation.metrics.{module}.print_log',
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
    everything = [InstBoxMetric(), InstCocoMetric(), InstPanopticMetric()]
    assert evaluate(samples, everything) == dict.fromkeys(KEYS + COCO_KEYS + PANOPTIC_KEYS, 0.)
    one = make_sample([[1, 1, 0]], [0], [[[0, 0, 1]]], [0], [.5], pred_sem_seg=[[2, 2, 2]])
    said.clear()
    assert evaluate([*samples, one]) == dict.fromkeys(KEYS, 0.)
    assert not any('no instance' in text for text in said)


def test_no_ground_truth_gives_zeros_and_says_so(said):
    sample = make_sample([[255, 255]], [], [[[1, 1]]], [0], [1.])
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, 1, 2, dtype=torch.int64))
    everything = [InstBoxMetric(), InstCocoMetric(), InstPanopticMetric()]
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
    figures = evaluate([sample], [InstBoxMetric(out_file=str(out_file))])
    content = json.loads(out_file.read_text())
    assert content['metrics'] == figures
    rows = {entry['category']: entry for entry in content['categories']}
    assert list(rows) == list(META['classes'])
    assert rows['dog']['APr_0.7'] == 1. and rows['dog']['objects'] == 1
    assert rows['background']['IoU'] == 1. and rows['background']['APr_0.5'] is None
    assert rows['cat']['APr_vol'] is None and rows['cat']['objects'] == 0
    assert rows['road']['objects'] is None and rows['road']['IoU'] is None
    assert [path.name for path in out_file.parent.iterdir()] == ['figures.json']


@pytest.mark.parametrize('metric', [InstBoxMetric, InstPanopticMetric])
def test_what_is_kept_of_an_image_is_small(metric):
    metric = metric()
    metric.dataset_meta = META
    for size in ((120, 150), (480, 600)):
        metric.process({}, [random_sample(1, size=size).to_dict()])
    kept = [len(pickle.dumps(result)) for result in metric.results]
    assert max(kept) < 1000 and abs(kept[0] - kept[1]) < 100  # whatever the image's size


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


def test_metainfo_without_things_is_an_error():
    with pytest.raises(ValueError, match="'thing_classes'"):
        evaluate([random_sample(0)], meta=dict(classes=('a', 'b')))


def test_an_image_is_decoded_once_for_all_metrics(monkeypatch):
    found, runs = [], sample_reader.find_runs
    monkeypatch.setattr(sample_reader, 'find_runs', lambda *args: found.append(1) or runs(*args))
    samples = [random_sample(seed) for seed in range(5)]
    metrics = [InstBoxMetric(), InstCocoMetric(), InstPanopticMetric()]
    together = evaluate(samples, metrics)
    assert len(found) == 5
    for metric in metrics:
        alone = evaluate(samples, [type(metric)()])
        assert alone == {key: together[key] for key in alone}
    assert len(found) == 20 and len(together) == len(KEYS + COCO_KEYS + PANOPTIC_KEYS)


def test_new_predictions_of_a_sample_are_decoded_anew():
    row = np.array([[1, 1, 0]])
    sample = make_sample(row, [0], [row == 1], [0], [.5]).to_dict()
    image = sample_reader.decode_image(sample, META)
    assert sample_reader.decode_image(sample, META) is image
    other = dict(sample, pred_instances=dict(sample['pred_instances'], scores=torch.tensor([.75])))
    assert sample_reader.decode_image(other, META).scores.tolist() == [.75]


def test_an_instance_counts_with_each_of_its_labels():
    """The object is of category 1, the instance says 0 first: found by its second label alone."""
    row = np.array([[1, 1, 0, 0]])
    sample = make_sample(row, [1], [row == 1], [0], [.9])
    sample.pred_instances.label_scores = torch.tensor([[.9, .4]])
    metrics = [InstBoxMetric(), InstCocoMetric()]
    figures = evaluate([sample], metrics)
    assert [figures[key] for key in ('APr_0.5', 'AP50')] == pytest.approx([1, 1])
    metrics = [InstBoxMetric(labels_per_instance=1), InstCocoMetric(labels_per_instance=1)]
    figures = evaluate([sample], metrics)
    assert [figures[key] for key in ('APr_0.5', 'AP50')] == [0, 0]


def test_labels_are_ranked_with_the_instances_own_first():
    scores = np.array([.5, .8], np.float32)
    sample = dict(pred_instances=dict(label_scores=torch.tensor([[.6, .5, .1], [.2, .3, .8]])))
    index, labels, values = sample_reader.ranked_labels(sample, np.array([1, 2]), scores, 2)
    assert index.tolist() == [0, 0, 1, 1] and labels.tolist() == [1, 0, 2, 1]
    assert values.tolist() == pytest.approx([.5, .6, .8, .3])
    alone = sample_reader.ranked_labels(dict(pred_instances={}), np.array([1, 2]), scores, 2)
    assert [each.tolist() for each in alone[:2]] == [[0, 1], [1, 2]]
