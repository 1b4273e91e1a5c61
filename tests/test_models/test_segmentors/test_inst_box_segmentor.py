"""The segmentor: training, predictions at original size, and mmseg's own API on it."""
import copy

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_instbox.core.feature_grid import sample_at_cells
from mmseg_instbox.models.segmentors.inst_box_segmentor import shift_training_batch


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


@pytest.fixture
def real_network(tiny_model):
    model = MODELS.build(tiny_model).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight, std=1)
    return model


def test_a_real_network_predicts_soundly(real_network):
    images = [(noise_image(61, 75), (90, 110)), (noise_image(64, 64), (64, 64))]
    for sample in predict(real_network, *images):
        check_prediction(sample, [1, 2, 3])


@pytest.mark.parametrize('network', ['pooled_model', 'real_network'])
def test_a_larger_neighbour_in_the_batch_changes_nothing(network, request):
    model = request.getfixturevalue(network)
    model.test_cfg = dict(mode='whole', keep_boxes=True)
    small, large = (noise_image(37, 45), (50, 60)), (noise_image(90, 70), (90, 70))
    alone, = predict(model, small)
    _, beside = predict(model, large, small)
    assert len(alone.pred_instances) > 0
    for name in ('seg_logits', 'pred_sem_seg', 'pred_boxes', 'pred_probs'):
        assert torch.allclose(alone.get(name).data, beside.get(name).data, atol=1e-4), name
    assert torch.equal(alone.pred_instances.masks, beside.pred_instances.masks)
    assert alone.grid_extent == pytest.approx(beside.grid_extent)


def test_boxes_are_kept_when_asked_for(pooled_model):
    image = (noise_image(37, 45), (74, 90))
    plain, = predict(pooled_model, image)
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    kept, = predict(pooled_model, image)
    assert 'pred_boxes' not in plain and 'pred_probs' not in plain
    assert kept.pred_boxes.data.shape == (4, 5, 6) and kept.pred_probs.data.shape == (4, 5, 6)
    assert torch.allclose(kept.pred_probs.data.sum(dim=0), torch.ones(5, 6), atol=1e-5)
    assert kept.grid_extent == pytest.approx((80, 96))  # 5 x 6 cells of 8 pixels, enlarged twice


def test_kept_boxes_group_as_the_prediction_did(pooled_model):
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    sample, = predict(pooled_model, (noise_image(61, 75), (90, 110)))
    again = pooled_model.grouper(sample.pred_probs.data, sample.pred_boxes.data, sample.ori_shape,
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
    assert sample.pred_probs.data.shape == (4, 8, 12)


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


@pytest.mark.parametrize('test_cfg, message', [
    (dict(mode='tiles'), "mode is 'whole' or 'slide', got 'tiles'"),
    (dict(mode='slide', stride=(8, 8)), r'crop_size=None and stride=\(8, 8\)'),
    (dict(mode='slide', stride=8, crop_size=(8, 8)), 'stride=8'),
    (dict(mode='slide', stride=(8, 8), crop_size=(8., 8)), r'crop_size=\(8.0, 8\)'),
    (dict(mode='slide', stride=(32, 40), crop_size=(32, 32)), 'leaves gaps'),
    (dict(shifts=0), 'shifts is a number of copies a direction, 1 or more, got 0'),
    (dict(shifts=1.5), 'got 1.5')])
def test_settings_of_testing_that_cannot_be_are_refused(tiny_model, test_cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(tiny_model | dict(test_cfg=test_cfg))


@pytest.mark.parametrize('test_cfg', [
    dict(shifts=2), dict(shifts=4), dict(mode='slide', crop_size=(48, 48), stride=(32, 32)),
    dict(mode='slide', crop_size=(64, 40), stride=(40, 40), shifts=2)])
@pytest.mark.parametrize('size', [(61, 75), (64, 64), (17, 130)])
def test_a_real_network_predicts_soundly_by_shifts_and_tiles(tiny_model, test_cfg, size):
    model = MODELS.build(tiny_model | dict(test_cfg=test_cfg)).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight, std=1)
    for sample in predict(model, (noise_image(*size), size), (noise_image(30, 40), (45, 60))):
        check_prediction(sample, [1, 2, 3])


def test_a_mirrored_test_image_is_mapped_back(pooled_model):
    """Boxes around their cell's point, whatever the picture: the mirror image says the same."""
    pooled_model.box_head.conv_seg.weight.data[:2] = 0
    pooled_model.box_head.conv_seg.bias.data[:2] = 0
    pooled_model.test_cfg = dict(mode='whole', keep_boxes=True)
    image = noise_image(61, 75)
    plain, = predict(pooled_model, (image, (90, 110)))
    meta = dict(img_shape=(61, 75), ori_shape=(90, 110), flip=True, flip_direction='horizontal')
    data = dict(inputs=[image.flip(-1)], data_samples=[SegDataSample(metainfo=meta)])
    with torch.no_grad():
        mirrored, = pooled_model.test_step(data)
    assert torch.equal(mirrored.pred_sem_seg.data, plain.pred_sem_seg.data)
    assert torch.allclose(mirrored.pred_boxes.data, plain.pred_boxes.data, atol=1e-3)
    check_prediction(mirrored, [1, 2, 3])


@pytest.mark.parametrize('offset', [[0, 0], [8, 0], [16, 8]])
def test_moved_by_whole_cells_a_network_without_sight_has_the_same_losses(
        pooled_model, random_scene, make_sample, monkeypatch, offset):
    """Decode head and box head move with the image: were one left behind, its loss would change."""
    batch = pooled_model.data_preprocessor(make_batch(random_scene, make_sample), training=True)
    expected = pooled_model.loss(**batch)
    pooled_model.train_cfg = dict(label_shift=16)
    monkeypatch.setattr(torch, 'randint', lambda high, size: torch.tensor(offset))
    losses = pooled_model.loss(**batch)
    losses['decode.loss_ce'] *= (64 + 16)**2 / 64**2  # mmseg's mean counts void pixels
    for name in ('decode.loss_ce', 'box.loss_box', 'box.iou'):
        assert losses[name].item() == pytest.approx(expected[name].item(), rel=1e-4), name


def test_labels_move_by_another_offset_each_iteration(
        pooled_model, random_scene, make_sample, monkeypatch):
    pooled_model.train_cfg = dict(label_shift=8)
    batch = pooled_model.data_preprocessor(make_batch(random_scene, make_sample), training=True)
    seen, places, extract = [], set(), pooled_model.extract_feat
    monkeypatch.setattr(pooled_model, 'extract_feat', lambda x: seen.append(x) or extract(x))
    losses = [pooled_model.loss(**batch)['box.loss_box'].item() for _ in range(12)]
    for inputs in seen:
        assert inputs.shape == (2, 3, 72, 72)
        y, x = (inputs[0] != 0).any(dim=0).nonzero().T
        places.add((y.min().item(), x.min().item()))
    assert len(places) > 8 and all(0 <= at <= 8 for place in places for at in place)
    assert len(set(losses)) > 8


def test_the_whole_config_survives_a_dump(tiny_model):
    """A checkpoint keeps the config as text; the same model must come back from it."""
    text = Config(dict(model=tiny_model)).pretty_text
    again = MODELS.build(Config.fromstring(text, '.py').model)
    assert again.thing_ids == [1, 2, 3] and again.box_head.coder.scale == 32


def one_object(seg: Tensor, inst: Tensor) -> SegDataSample:
    sample = SegDataSample(metainfo=dict(img_path='a.jpg'), gt_sem_seg=PixelData(data=seg[None]))
    sample.gt_inst_map = PixelData(data=inst[None])
    sample.gt_instances = InstanceData(
        ids=torch.tensor([3]), labels=torch.tensor([1]), bboxes=torch.tensor([[2., 5, 9, 12]]))
    return sample


@pytest.mark.parametrize('offset', [(0, 0), (3, 8), (8, 8), (5, 0)])
def test_images_and_labels_move_together_against_the_grid(offset):
    seg, inst = (torch.randint(0, high, (16, 20)).repeat_interleave(2, 0).repeat_interleave(2, 1)
                 for high in (4, 9))
    # a centre lies between two pixels, here of one colour
    seg, inst = (each.roll([1 - side % 2 for side in offset], (0, 1)) for each in (seg, inst.int()))
    sample, image = one_object(seg, inst), torch.stack([seg, inst, inst * 0 + 1]).float()
    inputs, (moved, ) = shift_training_batch(image[None], [sample], offset, 8)
    assert inputs.shape == (1, 3, 40, 48)
    assert moved.gt_sem_seg.shape == moved.gt_inst_map.shape == (40, 48)
    assert moved.gt_inst_map.data.dtype == torch.int32 and moved.img_path == 'a.jpg'
    at_cells = [sample_at_cells(field, (5, 6))
                for field in (moved.gt_sem_seg.data[0], moved.gt_inst_map.data[0])]
    for i in range(5):
        for j in range(6):
            y, x = 8 * i + 4 - offset[0], 8 * j + 4 - offset[1]
            inside = 0 <= y < 32 and 0 <= x < 40
            assert at_cells[0][i, j] == (seg[y, x] if inside else 255)
            assert at_cells[1][i, j] == (inst[y, x] if inside else 255)
            colour = inputs[0, :, 8 * i + 4, 8 * j + 4]
            assert colour.tolist() == ([seg[y, x], inst[y, x], 1] if inside else [0, 0, 0])
    down, right = offset
    assert moved.gt_instances.bboxes.tolist() == [[2 + right, 5 + down, 9 + right, 12 + down]]
    assert moved.gt_instances.ids.tolist() == [3] and moved.gt_instances.labels.tolist() == [1]
    assert sample.gt_instances.bboxes.tolist() == [[2, 5, 9, 12]]  # the batch's own stays
    assert sample.gt_sem_seg.shape == (32, 40)
