"""What it means that two models find the same."""
import numpy as np
import torch


def same_instances(first, second, iou: float = 0.999) -> None:
    """Both hold the same objects, with masks that agree but for rounding at their borders."""
    assert len(first.labels) == len(second.labels) > 0
    assert torch.equal(first.labels, second.labels)
    assert torch.allclose(first.scores, second.scores, atol=1e-4)
    for one, other in zip(first.masks, second.masks, strict=True):
        assert float((one & other).sum()) > iou * float((one | other).sum())


def same_maps(first, second) -> None:
    """Two category maps agree but for rounding."""
    assert np.mean(first.data.numpy() == second.data.numpy()) > 0.999
