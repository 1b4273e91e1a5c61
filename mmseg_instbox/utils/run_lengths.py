"""Converts masks to COCO's run-length encoding and back."""
from typing import Any

import numpy as np
from pycocotools import mask as mask_tools


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Encodes a mask ``(H, W)`` bool as ``size`` (H, W) and a string ``counts``, for JSON."""
    code = mask_tools.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=[int(length) for length in code['size']], counts=code['counts'].decode())


def decode_mask(code: dict[str, Any]) -> np.ndarray:
    """Decodes run lengths with ``size`` and ``counts`` to a mask ``(H, W)`` bool."""
    return mask_tools.decode(code).astype(bool)
