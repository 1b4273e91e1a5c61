"""Any mmseg model becomes an instance segmenter: families, published checkpoints, refusals."""
import re
from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner, load_checkpoint
from mmseg.registry import DATASETS, MODELS
from torch import nn

from mmseg_instbox.engine import adapt_to_cpu
from mmseg_instbox.models.segmentors.inst_box_segmentor import category_logits

SUFFIX = '_1xb8-2k_voc-mini-352x352'
# mmseg's config, what makes it small, and strides of category scores and boxes
RESNET = dict(pretrained=None, backbone=dict(base_channels=4, stem_channels=4),
              decode_head=dict(in_channels=128, channels=8), auxiliary_head=dict(in_channels=64),
              box_head=dict(in_channels=128))
PYRAMID = dict(in_channels=[8, 16, 32, 64])
FAMILIES = {
    'fcn-r50-d8': ('fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512', RESNET, (8, 8)),
    'pspnet-r50-d8': ('pspnet/pspnet_r50-d8_4xb4-20k_voc12aug-512x512', RESNET, (8, 8)),
    'deeplabv3plus-r50-d8': (
        'deeplabv3plus/deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512',
        RESNET | dict(decode_head=dict(in_channels=128, channels=8, c1_in_channels=16)), (4, 8)),
    'upernet-swin-tiny': (
        'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512',
        dict(backbone=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2]),
             decode_head=PYRAMID | dict(channels=8), auxiliary_head=dict(in_channels=32),
             box_head=dict(in_channels=[16, 32, 64])), (4, 8)),
    'segformer-mit-b0': (
        'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512',
        dict(backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 2, 4, 8]),
             decode_head=PYRAMID | dict(channels=8), box_head=dict(in_channels=[16, 32, 64])),
        (4, 8)),
    'fcn-hr18': (
        'hrnet/fcn_hr18_4xb4-20k_voc12aug-512x512',
        dict(pretrained=None, backbone=dict(extra={
            f'stage{n}': dict(num_modules=1, num_blocks=(1, ) * n, **(dict(
                num_channels=(4, 8, 12, 16)[:n]) if n > 1 else {})) for n in range(1, 5)}),
             decode_head=dict(in_channels=[4, 8, 12, 16], channels=40),
             box_head=dict(in_channels=[8, 12, 16])), (4, 8)),
    'segnext-mscan-t': (
        'segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512',
        dict(backbone=dict(embed_dims=[8, 8, 16, 32], mlp_ratios=[1, 1, 1, 1],
                           depths=[1, 1, 1, 1]),
             decode_head=dict(in_channels=[8, 16, 32], channels=32, ham_channels=32),
             box_head=dict(in_channels=[8, 16, 32])), (8, 8)),
    'stdc1': (
        'stdc/stdc1_in1k-pre_4xb12-80k_cityscapes-512x1024',
        dict(backbone=dict(backbone_cfg=dict(channels=(8, 8, 16, 32, 64)), out_channels=8,
                           last_in_channels=(64, 32),
                           ffm_cfg=dict(in_channels=24, out_channels=16)),
             decode_head=dict(in_channels=16, channels=8), auxiliary_head=[
                 dict(in_channels=8), dict(in_channels=8), dict(in_channels=16)],
             box_head=dict(in_channels=16)), (8, 8)),
    'bisenetv2': (
        'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024',
        dict(backbone=dict(detail_channels=(8, 8, 16), semantic_channels=(4, 8, 8, 16),
                           semantic_expansion_ratio=2, bga_channels=16),
             decode_head=dict(in_channels=16, channels=8), auxiliary_head=[
                 dict(in_channels=width, channels=8) for width in (4, 8, 8, 16)],
             box_head=dict(in_channels=16)), (8, 8)),
    'pidnet-s': (
        'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes',
        dict(backbone=dict(channels=8, ppm_channels=8, num_branch_blocks=1),
             decode_head=dict(in_channels=32, channels=8), box_head=dict(in_channels=32)), (8, 8)),
    'fcn-mobilenet-v2-d8': (
        'mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024',
        dict(pretrained=None, backbone=dict(widen_factor=0.125),
             decode_head=dict(in_channels=40, channels=8), auxiliary_head=dict(in_channels=16),
             box_head=dict(in_channels=40)), (8, 8)),
}


def read(repo: Path, family: str) -> Config:
    return Config.fromfile(repo / 'configs/instbox/any_model' / f'instbox_{family}{SUFFIX}.py')


def merge(node: dict, changes: dict) -> None:
    """Merges into nested dictionaries, lists of dictionaries item by item."""
    for key, value in changes.items():
        if isinstance(value, dict):
            merge(node[key], value)
        elif isinstance(value, list) and isinstance(value[0], dict):
            for item, change in zip(node[key], value, strict=True):
                item.update(change)
        else:
            node[key] = value


def shrink(model: dict, changes: dict) -> None:
    """Makes a model small, without weights to start from."""
    merge(model, changes)
    if 'box_head' in model:
        model['box_head']['channels'] = 8
    for node in (model['backbone'], model['backbone'].get('backbone_cfg', {})):
        node['init_cfg'] = None


def make_small(cfg: Config, changes: dict, work_dir: Path) -> None:
    """Two iterations of a small model on 64 x 64 pixels, then a look at two images."""
    shrink(cfg.model, changes)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.indices = 2
        for transform in loader.dataset.pipeline:
            transform.update({key: (64, 64) for key in ('scale', 'crop_size') if key in transform})
    cfg.default_hooks.pop('visualization')
    cfg.default_hooks.update(checkpoint=None, param_scheduler=None)
    cfg.train_cfg.update(max_iters=2, val_interval=3)
    cfg.work_dir, cfg.log_level, cfg.launcher = str(work_dir), 'ERROR', 'none'
    cfg.experiment_name = work_dir.name
    cfg.randomness = dict(seed=0)
    cfg.param_scheduler = None  # it begins with a learning rate too small to be seen
    adapt_to_cpu(cfg)


def heads(model: nn.Module) -> dict[str, nn.Module]:
    """All heads by name, each auxiliary one for itself."""
    found = dict(decode_head=model.decode_head, box_head=model.box_head)
    auxiliary = getattr(model, 'auxiliary_head', [])
    auxiliary = auxiliary if isinstance(auxiliary, list | nn.ModuleList) else [auxiliary]
    return found | {f'auxiliary_{i}': head for i, head in enumerate(auxiliary)}


def classifiers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: head.conv_seg.weight.detach().clone() for name, head in heads(model).items()}


@pytest.mark.parametrize('family', FAMILIES)
def test_it_trains_and_predicts(repo, tiny_voc, tmp_path, family):
    cfg = read(repo, family)
    for dataset, name in ((cfg.train_dataloader.dataset, 'train'),
                          (cfg.val_dataloader.dataset, 'val')):
        dataset.update(data_root=str(tiny_voc), ann_file=f'ImageSets/Segmentation/{name}.txt')
    make_small(cfg, FAMILIES[family][1], tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.model.init_weights()
    before = classifiers(runner.model)
    runner.train()
    figures = runner.val()
    for name, weight in classifiers(runner.model).items():
        assert weight.isfinite().all() and not torch.equal(weight, before[name]), name
    losses = runner.message_hub.log_scalars
    assert all(torch.isfinite(torch.tensor(log.data[0], dtype=torch.float)).all()
               for name, log in losses.items() if 'loss' in name)
    assert {'train/box.loss_box', 'train/box.iou'} <= set(losses)
    assert len({name.split('.')[0] for name in losses if '.loss_' in name}) == len(before)
    assert {'mIoU', 'APr_0.5'} <= set(figures)
    check_predictions(runner.model.eval(), FAMILIES[family][2])


def check_predictions(model: nn.Module, strides: tuple[int, int]) -> None:
    """Grids as wide as expected; boxes of two tiles are those of the halves, moved."""
    image = torch.randn(1, 3, 64, 128)
    model.test_cfg = dict(mode='whole', keep_boxes=True)
    with torch.no_grad():
        logits, boxes = model.forward_dense(image)
        assert logits.shape == (1, 21, 64 // strides[0], 128 // strides[0])
        assert boxes.shape == (1, 4, 64 // strides[1], 128 // strides[1])
        whole, = model.predict(image)
        assert whole.pred_sem_seg.data.shape == (1, 64, 128)
        assert torch.allclose(whole.pred_boxes.data, boxes[0], atol=1e-4)
        model.test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(64, 64), keep_boxes=True)
        tiled, = model.predict(image)
        for left in (0, 64):
            alone = model.forward_dense(image[..., left:left + 64])[1][0]
            cells = tiled.pred_boxes.data[..., left // strides[1]:(left + 64) // strides[1]]
            alone = alone + torch.tensor([left, 0, left, 0])[:, None, None]
            assert torch.allclose(cells, alone, atol=1e-3)


def mmseg_config(name: str) -> Config:
    """A config as mmseg ships it; what it imports may not be installed."""
    file = Path(mmseg.__file__).parent / '.mim' / 'configs' / f'{name}.py'
    return Config.fromfile(file, import_custom_modules=False)


@pytest.mark.parametrize('family', FAMILIES)
def test_at_full_size_the_box_head_fits_the_features(repo, on_meta, family):
    cfg = read(repo, family)
    with on_meta:
        model = MODELS.build(cfg.model).eval()
        logits, boxes = model.forward_dense(torch.zeros(1, 3, 352, 352))
    strides = FAMILIES[family][2]
    assert logits.shape == (1, 21, 352 // strides[0], 352 // strides[0])
    assert boxes.shape == (1, 4, 352 // strides[1], 352 // strides[1])
    assert type(model.data_preprocessor).__name__ == 'InstBoxDataPreProcessor'


def with_categories(model: dict, num: int) -> dict:
    """The model with another number of categories; STDC's head for borders has two classes."""
    auxiliary = model.get('auxiliary_head') or []
    for head in [model.decode_head, *(
            auxiliary if isinstance(auxiliary, list) else [auxiliary])]:
        head.num_classes = 2 if head.type == 'STDCHead' else num
    return model


@pytest.mark.parametrize('family', FAMILIES)
def test_a_published_checkpoint_lacks_the_box_head_alone(repo, on_meta, family):
    with on_meta:
        theirs = MODELS.build(with_categories(mmseg_config(FAMILIES[family][0]).model, 21))
        ours = MODELS.build(read(repo, family).model)
    missing, left_over = ours.load_state_dict(theirs.state_dict(), strict=False, assign=True)
    assert left_over == []
    learnt = {f'box_head.{name}' for name, _ in ours.box_head.named_parameters()}
    assert learnt <= set(missing) and all(key.startswith('box_head.') for key in missing)


def test_a_checkpoint_of_other_categories_gives_all_but_the_classifier(repo, tmp_path):
    name, changes, _ = FAMILIES['segformer-mit-b0']
    theirs, ours = mmseg_config(name).model, read(repo, 'segformer-mit-b0').model
    shrink(ours, changes)
    shrink(theirs, {key: value for key, value in changes.items() if key != 'box_head'})
    theirs, ours = MODELS.build(theirs), MODELS.build(ours)
    torch.save(dict(state_dict=theirs.state_dict()), tmp_path / 'published.pth')
    load_checkpoint(ours, str(tmp_path / 'published.pth'))
    mine = ours.state_dict()
    other = {key for key, value in theirs.state_dict().items()
             if value.shape != mine[key].shape or not torch.equal(value, mine[key])}
    assert other == {'decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'}


def test_both_backbones_of_a_localiser_start_from_the_pretrained_weights(repo, on_meta):
    model = read(repo, 'fcn-r50-d8').model
    with on_meta:
        model = MODELS.build(model | dict(type='LocaliserSegmentor'))
    expected = dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')
    assert model.backbone.init_cfg == model.box_backbone.init_cfg == expected


@pytest.mark.parametrize('name, sentence', [
    ('mask2former/mask2former_r50_8xb2-160k_ade20k-512x512', 'Mask2FormerHead classifies masks'),
    ('maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512', 'MaskFormerHead classifies masks'),
    ('ocrnet/ocrnet_hr18_4xb4-20k_voc12aug-512x512', 'a cascade of 2 heads'),
    ('_base_/models/pointrend_r50', 'a cascade of 2 heads'),
])
def test_what_cannot_work_says_so(on_meta, name, sentence):
    model = mmseg_config(name).model
    model.update(type='InstBoxSegmentor', box_head=dict(
        type='PixelBoxHead', in_channels=2048, in_index=3, channels=8))
    with on_meta, pytest.raises(ValueError, match=f'{sentence}.*takes one decode head'):
        MODELS.build(model)


def test_the_refining_head_of_a_cascade_cannot_stand_alone(on_meta):
    model = mmseg_config('ocrnet/ocrnet_hr18_4xb4-20k_voc12aug-512x512').model
    model.update(type='InstBoxSegmentor', decode_head=model.decode_head[1], box_head=dict(
        type='PixelBoxHead', in_channels=18, in_index=0, channels=8))
    with pytest.raises(ValueError, match='OCRHead refines'):
        MODELS.build(model)


def test_one_channel_for_two_categories_is_refused(repo, on_meta):
    model = read(repo, 'fcn-r50-d8').model
    model.decode_head.update(num_classes=2, out_channels=1, threshold=0.5)
    with on_meta, pytest.raises(ValueError, match='out_channels=2'):
        MODELS.build(model)


@pytest.mark.parametrize('head', [
    dict(type='FCNHead', in_channels=8, in_index=0),
    dict(type='DAHead', in_channels=8, in_index=0, pam_channels=4),
    dict(type='EncHead', in_channels=[8], in_index=[0], num_codes=4),
], ids=lambda head: head['type'])
def test_scores_are_those_that_the_head_predicts_with(head):
    head = MODELS.build(dict(channels=8, num_classes=5, **head)).eval()
    for weight in head.parameters():
        nn.init.normal_(weight)  # DAHead starts with gains of 0
    feats = (torch.randn(2, 8, 12, 10), )
    with torch.no_grad():
        expected = head.predict(feats, [dict(img_shape=(12, 10))], None)
        assert torch.allclose(category_logits(head, feats), expected, atol=1e-5)


@pytest.mark.parametrize('name', ['pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes',
                                  'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024'])
def test_a_backbone_that_drops_branches_after_training(on_meta, name):
    model = mmseg_config(name).model
    model.update(type='InstBoxSegmentor', box_head=dict(
        type='PixelBoxHead', in_channels=128, in_index=1, channels=8))
    with on_meta:
        model, image = MODELS.build(model), torch.zeros(2, 3, 64, 64)
        for training in (True, False):
            feats = model.train(training).extract_feat(image)
            assert isinstance(feats, tuple) == training
            assert model.box_head.predict(feats, (64, 64)).shape == (2, 4, 8, 8)


def doc_configs(repo: Path, folder: Path) -> list[str]:
    """Writes every example of the page to a folder, under the name in its first line."""
    text = (repo / 'docs' / 'any_model.md').read_text()
    blocks = re.findall(r'```python\n(# (\S+\.py)\n.*?)```', text, re.S)
    assert len(blocks) == text.count('```') // 2
    for text, name in blocks:
        (folder / name).write_text(text)
    return [name for _, name in blocks]


def test_the_examples_of_the_documentation_build(repo, tmp_path, on_meta):
    names = doc_configs(repo, tmp_path)
    assert names == ['my_pspnet.py', 'my_segformer.py', 'segnext.py', 'my_segnext.py']
    for name in names:
        cfg = Config.fromfile(tmp_path / name)
        if name == 'segnext.py':
            assert set(cfg) == {'model'}
            continue
        with on_meta:
            model = MODELS.build(cfg.model).eval()
            logits, boxes = model.forward_dense(torch.zeros(1, 3, 128, 128))
        dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True))
        assert logits.shape[1] == len(dataset.metainfo['classes'])
        assert boxes.shape == (1, 4, 16, 16)
        assert model.thing_ids == dataset.thing_ids
        if cfg.load_from:
            metafile = Path(mmseg.__file__).parent / '.mim/configs/pspnet/metafile.yaml'
            assert cfg.load_from in metafile.read_text()


def test_the_example_with_a_full_config_trains_and_evaluates(repo, tmp_path, tiny_voc, monkeypatch):
    doc_configs(repo, tmp_path)
    (tmp_path / 'my_data').symlink_to(tiny_voc)
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile('my_segformer.py')
    make_small(cfg, FAMILIES['segformer-mit-b0'][1], tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert {'mIoU', 'APr_0.5'} <= set(runner.test())
