import pytest
import torch
from mmseg.registry import TASK_UTILS

from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import DumpedSamples, InstBoxMetric
from mmseg_instbox.evaluation.oracle import Ceiling, Oracle
from mmseg_instbox.evaluation.replay import Regroup, replay

GROUPER = dict(type='PixelBoxGrouper')


@pytest.fixture(scope='module')
def samples(tiny_config, tiny_dump):
    return DumpedSamples.from_config(load_config(str(tiny_config)), tiny_dump)


@pytest.fixture
def figures(samples):
    """A function that evaluates one class of variants with its arguments."""

    def evaluate(variant, *arguments):
        built = variant(TASK_UTILS.build(dict(GROUPER)), samples.thing_ids, *arguments)
        return replay(samples, [built])[0]

    return evaluate


def test_without_any_truth_it_is_the_prediction(figures):
    assert figures(Oracle, False, False) == figures(Regroup)


def test_true_categories_are_those_of_the_metric(samples, figures):
    metric = InstBoxMetric(grouper=dict(GROUPER), true_categories=True)
    metric.dataset_meta = samples.dataset_meta
    metric.process({}, [samples[i] for i in range(len(samples))])
    assert figures(Oracle, True, False) == metric.evaluate(len(samples))


def test_more_truth_is_better(figures):
    plain, boxes, both = (figures(Oracle, *flags)
                          for flags in ((False, False), (False, True), (True, True)))
    assert max(plain['APr_vol'], boxes['APr_vol']) < both['APr_vol']
    assert both['APr_0.8'] == 1  # what lacks is where two objects touch between the cells
    assert plain['mIoU'] == boxes['mIoU'] == both['mIoU']


def test_cells_without_an_object_keep_the_predicted_box(samples):
    class Asked:
        def __call__(self, scores, boxes, img_shape, thing_ids, extent, seg_map):
            self.boxes = boxes
            return TASK_UTILS.build(dict(GROUPER))(scores, boxes, img_shape, thing_ids)

    asked, sample = Asked(), samples[0]
    predicted = torch.arange(1024.).view(4, 16, 16)
    sample['pred_boxes'] = dict(data=predicted)
    Oracle(asked, samples.thing_ids, False, True)(sample)
    centres = sample['gt_inst_map']['data'][0, 2::4, 2::4]  # stride 4
    assert torch.equal(asked.boxes[:, centres == 0], predicted[:, centres == 0])
    first = sample['gt_instances']['bboxes'][0]
    assert (asked.boxes[:, centres == 1] == first[:, None]).all()


def test_a_finer_grid_comes_closer_to_the_truth(figures):
    rows = [figures(Ceiling, stride) for stride in (1, 2, 4, 16)]
    assert rows[0]['mIoU'] == rows[0]['APr_vol'] == 1  # every pixel is a cell
    for key in ('mIoU', 'APr_vol'):
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=True) and values[-1] < 0.8


def test_the_ceiling_does_not_look_at_the_prediction(samples):
    ceiling = Ceiling(TASK_UTILS.build(dict(GROUPER)), samples.thing_ids, 4)
    sample = samples[1]
    blind = dict(sample, pred_boxes=None, pred_sem_seg=None,
                 pred_scores=dict(data=torch.zeros(3, 1, 1)))
    expected, given = (ceiling(each)['pred_instances'] for each in (sample, blind))
    assert len(expected['masks']) == 3 and torch.equal(expected['masks'], given['masks'])
