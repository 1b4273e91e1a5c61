"""Masks as COCO's run lengths."""
from typing import Any

import numpy as np
from pycocotools import mask as mask_tools


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """COCO's run-length code of a mask.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        dict: ``size`` (H, W) and a string ``counts``, ready for JSON.
    """
    code = mask_tools.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=[int(length) for length in code['size']], counts=code['counts'].decode())


def decode_mask(code: dict[str, Any]) -> np.ndarray:
    """The mask ``(H, W)`` bool of a run-length code with ``size`` and ``counts``."""
    return mask_tools.decode(code).astype(bool)
