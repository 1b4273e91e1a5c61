"""Tiles of a mosaic whose objects are known: joined across tiles, without a seam in any mask."""
import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

TILES = dict(mode='slide', crop_size=(256, 256), stride=(128, 128))


class SeesItsTile:
    """A network that knows of every object just what is in its input.

    Its pictures hold the category of each pixel, the number of its object, and zeros. It gives each
    cell its category and the box of the visible part of its object.
    """

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(N, 4, h, w)`` and boxes ``(N, 4, h, w)`` at stride 8."""
        return tuple(torch.stack(each) for each in zip(*map(self._one, inputs), strict=True))

    @staticmethod
    def _one(image: Tensor) -> tuple[Tensor, Tensor]:
        categories, objects = image[:2].long()
        cells = objects[4::8, 4::8]
        boxes = torch.zeros(4, *cells.shape)
        for number in cells.unique():
            y, x = (objects == number).nonzero().T
            box = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()
            boxes[:, cells == number] = box[:, None]
        logits = nn.functional.one_hot(categories[4::8, 4::8], 4).permute(2, 0, 1)
        return 10. * logits, boxes


def mosaic(size: int, seed: int) -> tuple[Tensor, Tensor]:
    """A picture ``(3, 600, 904)`` of rectangles of ``size / 2`` to ``size`` pixels a side, and the
    mask of each."""
    rng, picture = np.random.default_rng(seed), torch.zeros(3, 600, 904)
    number = 0
    for y in range(4, 600 - size, size + 20):
        for x in range(4, 904 - size, size + 12):
            height, width = rng.integers(size // 2, size + 1, 2)
            number += 1
            picture[0, y:y + height, x:x + width] = 1 + number % 3
            picture[1, y:y + height, x:x + width] = number
    return picture, picture[1] == torch.arange(1, number + 1)[:, None, None]


def predict(tiny_model: dict, picture: Tensor, test_cfg: dict) -> Tensor:
    """Masks ``(N, H, W)`` in the order of their first pixel."""
    model = MODELS.build(tiny_model | dict(test_cfg=test_cfg)).eval()
    model.forward_dense = SeesItsTile()
    with torch.no_grad():
        masks = model.predict(picture[None])[0].pred_instances.masks
    return masks[masks.flatten(1).byte().argmax(dim=1).argsort()]


def mask_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU ``(M, N)``."""
    first, second = (each.flatten(1).float() for each in (first, second))
    shared = first @ second.T
    return shared / (first.sum(1)[:, None] + second.sum(1)[None] - shared)


@pytest.mark.parametrize('seed', [0, 1])
def test_objects_of_a_quarter_tile_are_as_without_tiles(tiny_model, seed):
    picture, truth = mosaic(64, seed)
    across = [truth[:, :, at - 1].any(1) & truth[:, :, at].any(1) for at in range(128, 904, 128)]
    assert torch.stack(across).any(0).sum() >= 10  # objects that lie across borders of tiles
    whole = predict(tiny_model, picture, dict(mode='whole'))
    tiled = predict(tiny_model, picture, TILES)
    assert len(tiled) == len(truth)
    assert torch.equal(tiled, whole)
    best = mask_iou(truth, tiled).max(dim=1)
    assert best.indices.unique().numel() == len(truth)
    assert best.values.min() > 0.65  # their outlines are those of cells of 8 pixels


@pytest.mark.parametrize('size', [128, 180])
def test_larger_objects_are_joined_from_what_several_tiles_say(tiny_model, size):
    """No tile sees all of an object of 180 pixels that lies across a border, and yet it is one."""
    picture, truth = mosaic(size, 0)
    whole = predict(tiny_model, picture, dict(mode='whole'))
    tiled = predict(tiny_model, picture, TILES)
    assert len(tiled) == len(whole) == len(truth)
    assert mask_iou(whole, tiled).max(dim=1).values.min() > 0.95


def test_without_logits_the_prediction_is_the_same(tiny_model):
    picture, truth = mosaic(64, 2)
    with_logits = predict(tiny_model, picture, TILES)
    assert torch.equal(predict(tiny_model, picture, dict(TILES, keep_logits=False)), with_logits)
    assert len(with_logits) == len(truth)
