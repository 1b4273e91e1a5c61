"""The localiser with a backbone of its own, and on a frozen category network."""
import copy

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_instbox.models import LocaliserSegmentor

AUXILIARY = dict(
    type='FCNHead', in_channels=32, in_index=2, channels=8, num_convs=1, num_classes=4)


@pytest.fixture
def build(tiny_model):
    """A function that builds the tiny segmentor with a localiser as asked for."""

    def build(own_backbone: bool, freeze_categories: bool, **kwargs) -> LocaliserSegmentor:
        model = MODELS.build(copy.deepcopy(tiny_model) | dict(
            type='LocaliserSegmentor', own_backbone=own_backbone,
            freeze_categories=freeze_categories, auxiliary_head=AUXILIARY, **kwargs))
        return model.train()

    return build


@pytest.fixture
def batch(random_scene, make_sample) -> dict:
    """Two pictures of 64 x 64 with their samples."""
    samples = [make_sample(*random_scene(64, 64, 3, seed)) for seed in (1, 2)]
    return dict(inputs=torch.randn(2, 3, 64, 64), data_samples=samples)


def category_network(tiny_model: dict) -> dict[str, Tensor]:
    """The state of a category network, as a training run of mmseg leaves it."""
    cfg = {key: value for key, value in copy.deepcopy(tiny_model).items() if key != 'box_head'}
    network = MODELS.build(cfg | dict(type='EncoderDecoder', auxiliary_head=AUXILIARY))
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 1)
    return network.state_dict()


def parts_with_gradient(model: nn.Module) -> set[str]:
    return {name.split('.')[0] for name, parameter in model.named_parameters()
            if parameter.grad is not None and parameter.grad.abs().sum() > 0}


def test_frozen_stages_have_no_gradients_before_the_training(tiny_model):
    """mmseg's MobileNetV2 freezes them in ``train()``, too late for DistributedDataParallel."""
    model = MODELS.build(copy.deepcopy(tiny_model) | dict(
        type='LocaliserSegmentor', backbone=dict(type='MobileNetV2', frozen_stages=3)))
    for backbone in (model.backbone, model.box_backbone):
        frozen = {name for name, stage in backbone.named_children()
                  if not any(each.requires_grad for each in stage.parameters())}
        assert frozen == {'conv1', 'layer1', 'layer2', 'layer3'}


CATEGORY = {'backbone', 'decode_head', 'auxiliary_head'}


@pytest.mark.parametrize('own, frozen, learning', [
    (False, False, CATEGORY | {'box_head'}),
    (False, True, {'box_head'}),
    (True, False, CATEGORY | {'box_backbone', 'box_head'}),
    (True, True, {'box_backbone', 'box_head'}),
])
def test_what_learns(build, batch, own, frozen, learning):
    model = build(own, frozen)
    losses = model(**batch, mode='loss')
    names = {'box.loss_box', 'box.iou'}
    if not frozen:
        names |= {'decode.loss_ce', 'decode.acc_seg', 'aux.loss_ce', 'aux.acc_seg'}
    assert set(losses) == names
    model.parse_losses(losses)[0].backward()
    assert parts_with_gradient(model) == learning
    trained = {name.split('.')[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == learning


def test_with_a_backbone_of_its_own_the_losses_do_not_meet(build, batch):
    model = build(True, False)
    losses = model(**batch, mode='loss')
    losses['box.loss_box'].backward()
    assert parts_with_gradient(model) == {'box_backbone', 'box_head'}


def test_a_frozen_category_network_stays_as_it_was(build, batch):
    model = build(True, True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        model.train()
        optimizer.zero_grad()
        model.parse_losses(model(**batch, mode='loss'))[0].backward()
        optimizer.step()
    for key, value in model.state_dict().items():
        part = key.split('.')[0]
        if part in CATEGORY:
            assert torch.equal(value, before[key]), key
    moved = {key.split('.')[0] for key, value in model.state_dict().items()
             if not torch.equal(value, before[key])}
    assert moved == {'box_backbone', 'box_head'}


@pytest.mark.parametrize('frozen', [False, True])
def test_nothing_of_a_frozen_forward_pass_is_kept(build, batch, frozen):
    """Tensors that autograd saves while the category network computes."""
    saved = []
    model = build(True, frozen)

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    model.box_neck.register_forward_pre_hook(lambda *_: saved.append(None))  # the box side begins
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.box_backbone.forward = lambda inputs: tuple(torch.zeros(2, c, 8, 8) for c in
                                                          (8, 16, 32, 64))
        model(**batch, mode='loss')
    assert (saved.index(None) == 0) == frozen


def test_batch_normalisation_of_the_frozen_network_is_in_eval_mode(build):
    model = build(True, True)
    modes = {part: {m.training for m in getattr(model, part).modules()
                    if isinstance(m, nn.BatchNorm2d)}
             for part in ('backbone', 'decode_head', 'box_backbone', 'box_head')}
    assert modes == dict(
        backbone={False}, decode_head={False}, box_backbone={True}, box_head={True})
    assert not any(m.training for m in model.eval().modules())


@pytest.mark.parametrize('load', [
    lambda model, state: model.load_state_dict(state, strict=False),
    lambda model, state: load_state_dict(model, state),
])
def test_a_category_checkpoint_initialises_both_backbones(tiny_model, build, load):
    state, model = category_network(tiny_model), build(True, False)
    load(model, state)
    ours = model.state_dict()
    assert sum(key.startswith('box_backbone.') for key in ours) > 100
    for key, value in state.items():
        assert torch.equal(ours[key], value)
        if key.startswith('backbone.'):
            assert torch.equal(ours[f'box_{key}'], value)


def test_a_checkpoint_of_its_own_comes_back_as_it_was(build):
    trained, model = build(True, False), build(True, False)
    for value in trained.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 1)
    assert not model.load_state_dict(trained.state_dict()).missing_keys
    for key, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    key = 'backbone.layer1.0.conv1.weight'
    assert not torch.equal(model.state_dict()[key], model.state_dict()[f'box_{key}'])


def test_without_a_backbone_of_its_own_a_checkpoint_loads_plainly(tiny_model, build):
    result = build(False, True).load_state_dict(category_network(tiny_model), strict=False)
    assert result.unexpected_keys == []
    assert {key.split('.')[0] for key in result.missing_keys} == {'box_head'}


@torch.no_grad()
def test_predictions_are_those_of_the_two_networks_put_together(tiny_model, build):
    """Categories come from the first backbone, boxes from the second."""
    model = build(True, False).eval()
    nn.init.normal_(model.decode_head.conv_seg.weight)
    image = torch.randn(1, 3, 64, 64)
    logits, boxes = model.forward_dense(image)
    assert torch.equal(logits, model.decode_head(model.backbone(image)))
    assert torch.equal(logits, model(image, mode='tensor'))
    assert torch.equal(boxes, model.box_head.predict(model.box_backbone(image), (64, 64)))
    assert not torch.equal(boxes, model.box_head.predict(model.backbone(image), (64, 64)))
    assert model.predict(image)[0].pred_sem_seg.shape == (64, 64)


@torch.no_grad()
def test_a_neck_is_doubled_too(tiny_model, build):
    neck = dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=64, num_outs=4)
    model = build(True, False, neck=neck)
    model.load_state_dict({key: value for key, value in model.state_dict().items()
                           if not key.startswith('box_')}, strict=False)
    model.eval()
    image = torch.randn(1, 3, 64, 64)
    feats = model.extract_feat(image)
    assert model.box_neck is not model.neck and len(feats) == 4
    for ours, theirs in zip(feats, model.extract_box_feat(image, feats), strict=True):
        assert torch.equal(ours, theirs)
