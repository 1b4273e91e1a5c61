import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_instbox.models.image_mean import ImageMean


def make_sample(img_shape: tuple[int, int] | None) -> SegDataSample:
    meta = {} if img_shape is None else dict(img_shape=img_shape)
    sample = SegDataSample(metainfo=meta)
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, 64, 96, dtype=torch.long))
    return sample


def test_padding_does_not_count_in_training():
    mean, feats = ImageMean(), torch.rand(3, 5, 4, 6)
    mean.look_at([make_sample((64, 96)), make_sample((32, 48)), make_sample(None)])
    result = mean(feats)
    assert result.shape == (3, 5, 1, 1)
    expected = [feats[0], feats[1, :, :2, :3], feats[2]]
    for each, part in zip(result[..., 0, 0], expected, strict=True):
        assert torch.allclose(each, part.mean(dim=(1, 2)))
    assert torch.allclose(mean.eval()(feats)[..., 0, 0], feats.mean(dim=(2, 3)))


def test_a_thin_image_has_a_mean():
    mean, feats = ImageMean(), torch.rand(1, 5, 4, 6)
    mean.look_at([make_sample((1, 96))])
    assert torch.allclose(mean(feats)[0, :, 0, 0], feats[0, :, 0].mean(dim=1))
