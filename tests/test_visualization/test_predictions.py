"""Drawing of predictions without a visualizer."""
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmseg.structures import SegDataSample

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils.run_lengths import encode_mask
from mmseg_instbox.visualization import InstBoxLocalVisualizer, draw_prediction

NAMES = ('cat', 'dog')
IMAGE = np.full((40, 60, 3), 100, np.uint8)


@pytest.fixture
def instances() -> InstanceData:
    """A cat, and a dog of a lower score."""
    masks = torch.zeros(2, 40, 60, dtype=torch.bool)
    masks[0, 5:25, 5:20], masks[1, 10:35, 30:55] = True, True
    return InstanceData(masks=masks, labels=torch.tensor([0, 1]), scores=torch.tensor([0.9, 0.4]),
                        bboxes=torch.tensor([[5., 5, 20, 25], [30, 10, 55, 35]]))


@pytest.mark.parametrize('score_thr', [0.3, 0.5, 1.])
@pytest.mark.parametrize('draw_size', [None, 30])
def test_a_prediction_is_drawn_as_by_the_visualizer(instances, score_thr, draw_size):
    visualizer, drawn = InstBoxLocalVisualizer(draw_size=draw_size), []
    visualizer.dataset_meta = dict(thing_classes=NAMES)
    visualizer.add_image = lambda name, picture, step: drawn.append(picture)
    sample = SegDataSample(pred_instances=instances)
    visualizer.add_datasample('a', IMAGE, sample, draw_gt=False, score_thr=score_thr)
    found = draw_prediction(IMAGE, instances, NAMES, score_thr, draw_size)
    assert np.array_equal(found, drawn[0])
    assert max(found.shape) == (draw_size or 720)
    assert (found != 100).any() == (score_thr < 1)


def test_run_lengths_are_drawn_as_masks(instances):
    codes = InstanceData(**dict(instances.items(), masks=[
        encode_mask(mask.numpy()) for mask in instances.masks]))
    assert np.array_equal(draw_prediction(IMAGE, codes, NAMES),
                          draw_prediction(IMAGE, instances, NAMES))


def test_what_does_not_fit_the_image_is_refused(instances):
    with pytest.raises(InvalidInputError, match='does not fit the image'):
        draw_prediction(IMAGE[:30], instances, NAMES)
    with pytest.raises(InvalidInputError, match='outside thing_classes'):
        draw_prediction(IMAGE, instances, NAMES[:1])
    with pytest.raises(InvalidInputError, match='uint8'):
        draw_prediction(IMAGE / 255, instances, NAMES)
