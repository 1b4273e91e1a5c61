"""What all predictors share, with a network that only looks at sizes."""
from types import SimpleNamespace

import numpy as np
import pytest

from mmseg_instbox.deploy.predictor import Predictor, tile_test_cfg
from mmseg_instbox.errors import InvalidInputError


class SizePredictor(Predictor):
    """Predicts the mean of an image; remembers the sizes of its batches."""

    def __init__(self) -> None:
        self.batches = []

    def _prepare(self, image):
        return image.shape[:2], image

    def _predict_batch(self, batch, keep_boxes):
        self.batches.append([image.shape[:2] for image in batch])
        found = [SimpleNamespace(mean=float(image.mean())) for image in batch]
        for each in found:
            each.set_metainfo = each.__dict__.update
        return found


def image(value: int, size: tuple[int, int] = (4, 6)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def test_only_images_of_one_size_share_a_forward_pass():
    predictor = SizePredictor()
    images = [image(1), image(2, (5, 5)), image(3), image(4)]
    found = list(predictor.stream(images, batch_size=3))
    assert predictor.batches == [[(4, 6), (4, 6)], [(5, 5)], [(4, 6)]]
    assert [each.mean for each in found] == [1, 2, 3, 4]
    assert [each.name for each in found] == ['000000', '000001', '000002', '000003']


def test_each_prediction_comes_with_its_image(tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'no image')
    predictor = SizePredictor()
    inputs = [image(1), tmp_path / 'broken.png', image(3)]
    pairs = list(predictor.stream_with_images(inputs, 2, on_error='skip'))
    assert all(array.mean() == found.mean for array, found in pairs) and len(pairs) == 2
    assert [name for name, _ in predictor.failures] == ['broken']
    assert list(predictor.stream(image(1))) and predictor.failures == []


def test_an_unexpected_error_at_one_image_takes_no_others_with_it(tmp_path, monkeypatch):
    predictor = SizePredictor()
    predict = predictor._predict_batch

    def fail(batch, keep_boxes):
        if any(each[0, 0, 0] == 2 for each in batch):
            raise MemoryError('too many objects')
        return predict(batch, keep_boxes)

    monkeypatch.setattr(predictor, '_predict_batch', fail)
    images = [image(1), image(2), image(3), image(4, (5, 5))]
    found = list(predictor.stream(images, 4, on_error='skip'))
    assert [(each.name, each.mean) for each in found] == [
        ('000000', 1), ('000002', 3), ('000003', 4)]
    assert predictor.failures == [('000001', '000001: unexpected MemoryError: too many objects')]
    with pytest.raises(MemoryError):
        list(predictor.stream(images, 4))


def test_predictions_without_boxes_cannot_be_grouped_again():
    predictor = SizePredictor()
    found, = predictor.stream(image(1))
    with pytest.raises(InvalidInputError, match='keep_boxes=True'):
        predictor.regroup(found)


def test_tiles_overlap_by_half():
    assert tile_test_cfg(None) == {}
    assert tile_test_cfg((64, 130)) == dict(mode='slide', crop_size=(64, 130), stride=(32, 65))
    for tile in (32, 512., (64, 64, 64), 'large'):
        with pytest.raises(InvalidInputError, match='tile is the side of a tile'):
            tile_test_cfg(tile)
