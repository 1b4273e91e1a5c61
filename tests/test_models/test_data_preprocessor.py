import pytest
import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_instbox.models import InstBoxDataPreProcessor

STATISTICS = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)


def build(**kwargs) -> InstBoxDataPreProcessor:
    return MODELS.build(dict(type='InstBoxDataPreProcessor', **STATISTICS, **kwargs))


def random_image(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8)


@pytest.fixture
def training_batch(random_scene, make_sample) -> dict:
    """Two images of different sizes with their samples."""
    sizes = [(20, 30), (27, 25)]
    return dict(
        inputs=[random_image(*size) for size in sizes],
        data_samples=[make_sample(*random_scene(*size, 4)) for size in sizes])


@pytest.mark.parametrize('arguments, shape', [
    (dict(size=(40, 48)), (40, 48)),
    (dict(size_divisor=8), (32, 32)),
    (dict(size_divisor=1), (27, 30)),
    (dict(), (32, 32)),
])
def test_training_pads_maps_with_void(training_batch, arguments, shape):
    before = [
        (sample.gt_sem_seg.data.clone(), sample.gt_inst_map.data.clone())
        for sample in training_batch['data_samples']
    ]
    data = build(**arguments)(training_batch, training=True)
    assert data['inputs'].shape == (2, 3, *shape)
    for sample, maps in zip(data['data_samples'], before, strict=True):
        after = (sample.gt_sem_seg.data, sample.gt_inst_map.data)
        for padded, original in zip(after, maps, strict=True):
            _, height, width = original.shape
            assert padded.shape == (1, *shape) and padded.dtype == original.dtype
            assert torch.equal(padded[:, :height, :width], original)
            assert (padded[:, height:] == 255).all() and (padded[:, :, width:] == 255).all()


def test_training_images_equal_mmsegs(training_batch):
    images = [image.clone() for image in training_batch['inputs']]
    ours = build(size=(40, 48))(training_batch, training=True)['inputs']
    parent = SegDataPreProcessor(size=(40, 48), **STATISTICS)
    samples = [SegDataSample(), SegDataSample()]
    theirs = parent(dict(inputs=images, data_samples=samples), training=True)
    assert torch.equal(ours, theirs['inputs'])


def test_training_without_instance_maps():
    batch = dict(inputs=[random_image(8, 8)], data_samples=[SegDataSample()])
    assert 'gt_inst_map' not in build()(batch, training=True)['data_samples'][0]


def test_a_test_batch_may_hold_images_of_any_size():
    sizes = [(20, 30), (41, 25), (32, 32)]
    images = [random_image(*size) for size in sizes]
    samples = [SegDataSample(metainfo=dict(img_shape=size)) for size in sizes]
    data = build(size_divisor=16)(dict(inputs=list(images), data_samples=samples))
    assert data['inputs'].shape == (3, 3, 48, 32)
    mean, std = (torch.tensor(STATISTICS[key])[:, None, None] for key in ('mean', 'std'))
    for out, image, (height, width) in zip(data['inputs'], images, sizes, strict=True):
        assert torch.allclose(out[:, :height, :width], (image.flip(0) - mean) / std, atol=1e-5)
        assert out[:, height:].abs().sum() == 0 and out[:, :, width:].abs().sum() == 0
    assert [sample.img_shape for sample in data['data_samples']] == sizes


def test_test_samples_tell_how_each_image_is_padded():
    images = [random_image(20, 30), random_image(41, 25)]
    samples = build(size_divisor=16)(dict(inputs=images))['data_samples']
    assert [tuple(sample.pad_shape) for sample in samples] == [(32, 32), (48, 32)]
    assert [tuple(sample.img_padding_size) for sample in samples] == [(0, 2, 0, 12), (0, 7, 0, 7)]


def test_testing_leaves_the_ground_truth_as_it_is(training_batch):
    maps = [sample.gt_inst_map.data.clone() for sample in training_batch['data_samples']]
    data = build()(training_batch)
    for sample, inst_map in zip(data['data_samples'], maps, strict=True):
        assert torch.equal(sample.gt_inst_map.data, inst_map)


def test_a_single_size_gives_what_mmseg_gives():
    images = [random_image(32, 64) for _ in range(2)]
    ours = build(size_divisor=32)(dict(inputs=list(images)))
    theirs = SegDataPreProcessor(size_divisor=32, **STATISTICS)(dict(inputs=list(images)))
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert len(ours['data_samples']) == 2


@pytest.mark.parametrize('training', [True, False])
def test_channels_last(training_batch, training):
    plain = build()(dict(inputs=list(training_batch['inputs']),
                         data_samples=[SegDataSample(), SegDataSample()]), training=training)
    data = build(channels_last=True)(training_batch, training=training)
    assert data['inputs'].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(data['inputs'], plain['inputs'])
