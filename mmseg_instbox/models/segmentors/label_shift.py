"""The training form of shifted copies: images and ground truth move against the feature grid."""
import torch.nn.functional as F
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

_VOID = 255


def shift_training_batch(inputs: Tensor, data_samples: SampleList, offset: tuple[int, int],
                         growth: int) -> tuple[Tensor, SampleList]:
    """Moves images and ground truth together against the feature grid.

    Nothing is cut off, so every box stays that of its object: the images grow.

    Args:
        inputs: ``(N, 3, H, W)``.
        data_samples: Their pixel maps ``gt_*`` and boxes ``gt_instances.bboxes``.
        offset: y, x in pixels from 0 to ``growth``, how far down and right.
        growth: Pixels by which height and width grow.

    Returns:
        tuple: ``(N, 3, H + growth, W + growth)`` with zeros around the images, and new samples with
            void around the maps.
    """
    y, x = offset
    padding = (x, growth - x, y, growth - y)
    samples = [_shift_sample(sample, padding) for sample in data_samples]
    return F.pad(inputs, padding), samples


def _shift_sample(sample: SegDataSample, padding: tuple[int, int, int, int]) -> SegDataSample:
    shifted = sample.new()
    for name, field in sample.items():
        if isinstance(field, PixelData) and name.startswith('gt_'):
            shifted.set_data({name: PixelData(data=F.pad(field.data, padding, value=_VOID))})
    if 'gt_instances' in sample:
        left, _, top, _ = padding
        boxes = sample.gt_instances.bboxes
        moved = boxes + boxes.new_tensor([left, top, left, top])
        others = {k: v for k, v in sample.gt_instances.items() if k != 'bboxes'}
        shifted.gt_instances = InstanceData(bboxes=moved, **others)
    return shifted
