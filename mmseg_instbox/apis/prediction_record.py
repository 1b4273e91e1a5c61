"""A prediction as JSON and back, without loss."""
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from ..utils.run_lengths import decode_mask, encode_mask


def to_record(sample: SegDataSample) -> dict[str, Any]:
    """What a prediction says, in numbers, strings and lists.

    Args:
        sample: With ``pred_sem_seg`` (1, H, W) and ``pred_instances``: ``masks`` (N, H, W) bool,
            ``labels``, ``scores`` (N,) and ``bboxes`` (N, 4), in pixels of the image.

    Returns:
        dict: ``shape`` (H, W); ``categories``: COCO's run lengths of the pixels of each category
            that occurs; ``instances``: ``label``, ``score``, ``bbox`` and run lengths ``mask``.
    """
    categories = sample.pred_sem_seg.data[0].cpu().numpy()
    found = sample.pred_instances
    masks = np.asarray(found.masks.cpu(), bool)
    rows = zip(masks, found.labels.tolist(), found.scores.tolist(), found.bboxes.tolist(),
               strict=True)
    return dict(
        shape=list(categories.shape),
        categories={str(each): _encode(categories == each) for each in np.unique(categories)},
        instances=[dict(label=label, score=score, bbox=bbox, mask=_encode(mask))
                   for mask, label, score, bbox in rows])


def from_record(record: dict[str, Any], **metainfo: Any) -> SegDataSample:
    """The prediction that :func:`to_record` wrote, on the CPU, with ``ori_shape`` and ``metainfo``.
    """
    shape, instances = tuple(record['shape']), record['instances']
    categories = np.zeros(shape, np.int64)
    for category, runs in record['categories'].items():
        categories[_decode(runs, shape)] = int(category)
    masks = [_decode(each['mask'], shape) for each in instances]
    sample = SegDataSample(metainfo=dict(ori_shape=shape, **metainfo))
    sample.pred_sem_seg = PixelData(data=torch.from_numpy(categories)[None])
    sample.pred_instances = InstanceData(
        masks=torch.from_numpy(np.stack(masks) if masks else np.zeros((0, *shape), bool)),
        labels=torch.tensor([each['label'] for each in instances], dtype=torch.int64),
        scores=torch.tensor([each['score'] for each in instances], dtype=torch.float32),
        bboxes=torch.tensor([each['bbox'] for each in instances],
                            dtype=torch.float32).reshape(-1, 4))
    return sample


def _encode(mask: np.ndarray) -> str:
    return encode_mask(mask)['counts']


def _decode(counts: str, shape: tuple[int, int]) -> np.ndarray:
    return decode_mask(dict(counts=counts, size=list(shape)))
