"""The segmentor: training, predictions at original size, and mmseg's own API on it."""
import copy

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.models.segmentors.inst_box_segmentor import crop_to_image


@MODELS.register_module(force=True)
class PoolBackbone(BaseModule):
    """Features that look at nothing but their own 8 x 8 pixels."""

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        """The mean colour of each cell."""
        return (nn.functional.avg_pool2d(inputs, 8), )


@pytest.fixture
def pooled_model(tiny_model) -> nn.Module:
    """A segmentor whose cells do not see each other, with random 1 x 1 heads."""
    tiny_model['backbone'] = dict(type='PoolBackbone')
    head = dict(in_channels=3, channels=3, in_index=0, num_convs=0, dropout_ratio=0)
    tiny_model['decode_head'] = dict(
        type='FCRNHead', num_classes=4, classifier_kernel=1, classifier_dilation=1, **head)
    tiny_model['box_head'] = dict(
        type='PixelBoxHead', coder=dict(type='PixelBoxCoder', scale=16), **head)
    tiny_model['data_preprocessor']['size_divisor'] = 8
    model = MODELS.build(tiny_model).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight, std=2)
    nn.init.normal_(model.box_head.conv_seg.weight, std=0.3)
    return model


def noise_image(height: int, width: int, block: int = 16) -> Tensor:
    """A uint8 picture (3, H, W) of coloured blocks."""
    blocks = torch.randint(0, 256, (1, 3, -(-height // block), -(-width // block))).float()
    large = nn.functional.interpolate(blocks, scale_factor=block)
    return large[0, :, :height, :width].byte()


def predict(model: nn.Module, *images: tuple[Tensor, tuple[int, int]]) -> list[SegDataSample]:
    """Predictions for images (3, H, W) and the sizes that their files had."""
    samples = [
        SegDataSample(metainfo=dict(img_shape=tuple(img.shape[1:]), ori_shape=ori))
        for img, ori in images
    ]
    with torch.no_grad():
        return model.test_step(dict(inputs=[img for img, _ in images], data_samples=samples))


def check_prediction(sample: SegDataSample, thing_ids: list[int]) -> None:
    """What must hold of the predictions for one image."""
    ori_shape = sample.ori_shape
    assert sample.seg_logits.data.shape[1:] == sample.pred_sem_seg.data.shape[1:] == ori_shape
    assert torch.equal(sample.pred_sem_seg.data, sample.seg_logits.data.argmax(dim=0, keepdim=True))
    instances = sample.pred_instances
    assert instances.masks.shape == (len(instances.scores), *ori_shape)
    boxes = instances.bboxes.tolist()
    for mask, label, box in zip(instances.masks, instances.labels, boxes, strict=True):
        assert (sample.pred_sem_seg.data[0][mask] == thing_ids[label]).all()
        y, x = mask.nonzero().T
        assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]


@pytest.mark.parametrize('img_shape, ori_shape', [
    ((64, 96), (64, 96)), ((40, 56), (120, 168)), ((61, 75), (61, 75)), ((61, 75), (40, 50)),
    ((5, 7), (5, 7))])
def test_predictions_have_the_original_size(pooled_model, img_shape, ori_shape):
    sample, = predict(pooled_model, (noise_image(*img_shape), ori_shape))
    check_prediction(sample, [1, 2, 3])


def test_something_is_predicted(pooled_model):
    sample, = predict(pooled_model, (noise_image(64, 96), (64, 96)))
    assert len(sample.pred_instances) > 2


def test_a_real_network_predicts_soundly(tiny_model):
    model = MODELS.build(tiny_model).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight, std=1)
    images = [(noise_image(61, 75), (90, 110)), (noise_image(64, 64), (64, 64))]
    for sample in predict(model, *images):
        check_prediction(sample, [1, 2, 3])


def test_a_larger_neighbour_in_the_batch_changes_nothing(pooled_model):
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    small, large = (noise_image(37, 45), (50, 60)), (noise_image(90, 70), (90, 70))
    alone, = predict(pooled_model, small)
    beside, _ = predict(pooled_model, small, large)
    assert len(alone.pred_instances) > 0
    for name in ('seg_logits', 'pred_sem_seg', 'pred_boxes', 'pred_scores'):
        assert torch.allclose(alone.get(name).data, beside.get(name).data, atol=1e-4), name
    assert torch.equal(alone.pred_instances.masks, beside.pred_instances.masks)
    assert alone.grid_extent == pytest.approx(beside.grid_extent)


def test_boxes_are_kept_when_asked_for(pooled_model):
    image = (noise_image(37, 45), (74, 90))
    plain, = predict(pooled_model, image)
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    kept, = predict(pooled_model, image)
    assert 'pred_boxes' not in plain and 'pred_scores' not in plain
    assert kept.pred_boxes.data.shape == (4, 5, 6) and kept.pred_scores.data.shape == (4, 5, 6)
    assert torch.allclose(kept.pred_scores.data.sum(dim=0), torch.ones(5, 6), atol=1e-5)
    assert kept.grid_extent == pytest.approx((80, 96))  # 5 x 6 cells of 8 pixels, enlarged twice


def test_kept_boxes_group_as_the_prediction_did(pooled_model):
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    sample, = predict(pooled_model, (noise_image(61, 75), (90, 110)))
    again = pooled_model.grouper(sample.pred_scores.data, sample.pred_boxes.data, sample.ori_shape,
                                 [1, 2, 3], sample.grid_extent, sample.pred_sem_seg.data[0])
    assert torch.equal(again.masks, sample.pred_instances.masks)


def test_boxes_scale_with_the_original_image(pooled_model):
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    image = noise_image(40, 48)
    same, = predict(pooled_model, (image, (40, 48)))
    wide, = predict(pooled_model, (image, (80, 144)))
    factor = torch.tensor([3., 2, 3, 2])[:, None, None]
    assert torch.allclose(wide.pred_boxes.data, same.pred_boxes.data * factor, atol=1e-3)


def test_pixels_without_padding_are_those_of_mmseg(pooled_model):
    """Without padding, logits are interpolated as mmseg's EncoderDecoder does."""
    image = noise_image(64, 96)
    sample, = predict(pooled_model, (image, (50, 70)))
    data = pooled_model.data_preprocessor(dict(inputs=[image]))
    logits = pooled_model.decode_head(pooled_model.extract_feat(data['inputs']))
    expected = nn.functional.interpolate(logits, size=(50, 70), mode='bilinear')
    assert torch.allclose(sample.seg_logits.data, expected[0], atol=1e-4)


@pytest.mark.parametrize('thing_ids', [[2], [3, 1]])
def test_only_things_become_instances(pooled_model, thing_ids):
    pooled_model.thing_ids = thing_ids
    sample, = predict(pooled_model, (noise_image(64, 96), (64, 96)))
    check_prediction(sample, thing_ids)
    assert len(sample.pred_instances) > 0


def test_predict_without_samples(pooled_model):
    with torch.no_grad():
        sample, = pooled_model.predict(torch.randn(1, 3, 40, 48))
    assert sample.pred_sem_seg.shape == (40, 48)


def test_heads_on_different_grids(pooled_model):
    """The decode head may have a coarser grid than the box head."""
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    head = pooled_model.decode_head
    pooled_model.decode_head = nn.Sequential(Half(), _First(head))
    sample, = predict(pooled_model, (noise_image(64, 96), (64, 96)))
    check_prediction(sample, [1, 2, 3])
    assert sample.pred_scores.data.shape == (4, 8, 12)


class Half(nn.Module):
    """Halves the first feature map."""

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """(N, C, h, w) to (N, C, h / 2, w / 2)."""
        return nn.functional.avg_pool2d(feats[0], 2)


class _First(nn.Module):
    """Hands one feature map to a head."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, feat: Tensor) -> Tensor:
        """The head's output."""
        return self.head((feat, ))


@pytest.mark.parametrize('input_shape, img_shape, ori_shape, cells, extent', [
    ((64, 96), (64, 96), (64, 96), (8, 12), (64, 96)),
    ((64, 96), (61, 90), (61, 90), (8, 12), (64, 96)),
    ((64, 96), (40, 41), (40, 41), (5, 6), (40, 48)),
    ((64, 96), (40, 41), (80, 123), (5, 6), (80, 144)),
    ((60, 90), (60, 90), (60, 90), (8, 12), (60, 90)),
])
def test_crop_to_image(input_shape, img_shape, ori_shape, cells, extent):
    grid = torch.rand(2, 8, 12)
    cropped, covered = crop_to_image(grid, input_shape, img_shape, ori_shape)
    assert torch.equal(cropped, grid[:, :cells[0], :cells[1]])
    assert covered == pytest.approx(extent)


def make_batch(random_scene, make_sample) -> dict:
    """Two pictures in which each object has a colour of its own."""
    batch = dict(inputs=[], data_samples=[])
    for seed in (1, 2):
        seg, inst = random_scene(64, 64, 3, seed)
        colours = torch.rand(256, 3) * 255
        batch['inputs'].append(colours[inst.long()].permute(2, 0, 1))
        batch['data_samples'].append(make_sample(seg, inst))
    return batch


def test_training_lowers_both_losses(tiny_model, random_scene, make_sample):
    model = MODELS.build(tiny_model)
    model.train()
    data = model.data_preprocessor(make_batch(random_scene, make_sample), training=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(25):
        losses = model(**data, mode='loss')
        total, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    assert set(history[0]) == {'decode.loss_ce', 'decode.acc_seg', 'box.loss_box', 'box.iou'}
    for name in ('decode.loss_ce', 'box.loss_box'):
        assert history[-1][name] < 0.6 * history[0][name], name
    assert history[-1]['box.iou'] > history[0]['box.iou']


def test_both_losses_reach_the_backbone(tiny_model, random_scene, make_sample):
    model = MODELS.build(tiny_model)
    data = model.data_preprocessor(make_batch(random_scene, make_sample), training=True)
    losses = model(**data, mode='loss')
    weight = model.backbone.layer1[0].conv1.weight
    for name in ('decode.loss_ce', 'box.loss_box'):
        grad, = torch.autograd.grad(losses[name], weight, retain_graph=True)
        assert grad.abs().sum() > 0


def test_an_auxiliary_head_of_mmseg(tiny_model, random_scene, make_sample):
    tiny_model['auxiliary_head'] = dict(
        type='FCNHead', in_channels=32, in_index=2, channels=8, num_convs=1, num_classes=4)
    model = MODELS.build(tiny_model)
    data = model.data_preprocessor(make_batch(random_scene, make_sample), training=True)
    assert 'aux.loss_ce' in model(**data, mode='loss')


TINY_FILE = """
default_scope = 'mmseg'
custom_imports = dict(imports=['mmseg_instbox'])
model = {model}
test_pipeline = [
    dict(type='LoadInstImage'),
    dict(type='Resize', scale=(96, 64), keep_ratio=True),
    dict(type='LoadInstAnnotations'),
    dict(type='PackInstInputs')
]
"""


def test_mmsegs_inference_api(tiny_model, tmp_path):
    """init_model and inference_model, with a file and with an array, give what predict gives."""
    classes = ('background', 'a', 'b', 'c')
    config, checkpoint, photo = (tmp_path / name for name in ('tiny.py', 'tiny.pth', 'photo.png'))
    config.write_text(TINY_FILE.format(model=tiny_model))
    trained = MODELS.build(copy.deepcopy(tiny_model)).eval()
    nn.init.normal_(trained.decode_head.conv_seg.weight, std=1)
    meta = dict(dataset_meta=dict(classes=classes))
    torch.save(dict(state_dict=trained.state_dict(), meta=meta), checkpoint)
    image = np.ascontiguousarray(noise_image(50, 70).permute(1, 2, 0).numpy())
    cv2.imwrite(str(photo), image)

    model = init_model(str(config), str(checkpoint), device='cpu')
    from_file = inference_model(model, str(photo))
    from_array = inference_model(model, image)
    several = inference_model(model, [image, image[:40, :40].copy()])

    assert model.dataset_meta['classes'] == classes
    assert len(several) == 2 and several[1].pred_sem_seg.shape == (40, 40)
    for sample in (from_file, from_array, *several):
        check_prediction(sample, [1, 2, 3])
    assert from_file.ori_shape == (50, 70)
    resized = torch.from_numpy(cv2.resize(image, (90, 64))).permute(2, 0, 1)
    expected, = predict(trained, (resized, (50, 70)))
    for sample in (from_file, from_array):
        assert torch.equal(sample.pred_sem_seg.data, expected.pred_sem_seg.data)
        assert torch.equal(sample.pred_instances.masks, expected.pred_instances.masks)


@pytest.mark.parametrize('thing_ids', [[], [4], [-1], [1, 9]])
def test_things_that_are_no_categories_are_refused(tiny_model, thing_ids):
    with pytest.raises(ValueError, match='thing_ids must be indices of the 4 categories'):
        MODELS.build(tiny_model | dict(thing_ids=thing_ids))


def test_a_sigmoid_head_is_refused(tiny_model):
    tiny_model['decode_head'].update(num_classes=2, out_channels=1)
    with pytest.raises(ValueError, match='out_channels=2'):
        MODELS.build(tiny_model)


def test_slide_mode_is_refused(tiny_model):
    tiny_model['test_cfg'] = dict(mode='slide', stride=(8, 8), crop_size=(32, 32))
    with pytest.raises(ValueError, match='slide'):
        MODELS.build(tiny_model)


def test_flipped_test_images_are_refused(pooled_model):
    samples = [SegDataSample(metainfo=dict(flip=True, flip_direction='horizontal'))]
    with pytest.raises(ValueError, match='RandomFlip'), torch.no_grad():
        pooled_model.predict(torch.randn(1, 3, 40, 48), samples)


def test_the_whole_config_survives_a_dump(tiny_model):
    """A checkpoint keeps the config as text; the same model must come back from it."""
    text = Config(dict(model=tiny_model)).pretty_text
    again = MODELS.build(Config.fromstring(text, '.py').model)
    assert again.thing_ids == [1, 2, 3] and again.box_head.coder.scale == 32
