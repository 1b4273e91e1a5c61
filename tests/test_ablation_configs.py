"""Each ablation differs from its base in what it is about and nothing else.

``test_configs`` builds the model of every config.
"""
from functools import cache

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmseg.registry import MODELS

from mmseg_instbox.datasets.transforms.pipeline_check import check_pipeline

LARGE = 'instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500'
SMALL = 'instbox_mobilenet-v2-d16_1xb8-500_voc-mini-224x224'
STRONG = 'instbox_deeplabv3-mobilenet-v2-d16_1xb8-600_voc-plus-224x224'
SAMPLERS = {'model.decode_head.sampler', 'model.box_head.sampler'}
BOX_LOSS = {f'model.box_head.loss_decode.{key}' for key in ('type', 'beta', 'loss_weight')}
LOCALISER = {f'model.{key}' for key in ('type', 'own_backbone')}
PIPELINE = {'train_pipeline', 'train_dataloader.dataset.pipeline'}
# what may change, by the name behind that of the base
BOTH = {
    'no-bootstrapping': SAMPLERS,
    'bootstrap-categories': {'model.box_head.sampler'},
    'bootstrap-boxes': {'model.decode_head.sampler'},
    'bootstrap-warmup': {f'{key}.warmup_iters' for key in SAMPLERS},
    'thresh-0.5': {'model.decode_head.sampler.thresh'},
    'thresh-0.9': {'model.decode_head.sampler.thresh'},
    'classifier-dilation-1': {'model.decode_head.classifier_dilation'},
    'corner-coder': {'model.box_head.coder.type'},
    'iou-loss': BOX_LOSS,
    'giou-loss': BOX_LOSS,
    'full-boxes': PIPELINE,
    'own-backbone': LOCALISER,
}
ABLATIONS = {
    LARGE: BOTH | {
        'classifier-dilation-6': BOTH['classifier-dilation-1'],
        'classifier-dilation-18': BOTH['classifier-dilation-1'],
        'classifier-kernel-5': {'model.decode_head.classifier_kernel'},
        'no-classifier-stage': {'model.decode_head.num_convs', 'model.decode_head.channels'},
        'residual-dropout': {'model.backbone.dropout'},
        'no-classifier-dropout': {'model.decode_head.dropout_ratio'},
        'frozen-bn': {'model.backbone.norm_eval'},
        'min-kept-128': {'model.decode_head.sampler.min_kept'},
        'min-kept-2048': {'model.decode_head.sampler.min_kept'},
        'thresh-0.7': {'model.decode_head.sampler.thresh'},
        'thresh-0.8': {'model.decode_head.sampler.thresh'},
        'bootstrap-scope-batch': {f'{key}.scope' for key in SAMPLERS},
        'frozen-categories': LOCALISER | {'model.freeze_categories', 'load_from'},
        'own-backbone-frozen-categories': LOCALISER | {'model.freeze_categories', 'load_from'},
    },
    SMALL: BOTH | {
        'classifier-dilation-12': BOTH['classifier-dilation-1'],
        'min-kept-4-percent': {'model.decode_head.sampler.min_kept'},
        'min-kept-40-percent': {'model.decode_head.sampler.min_kept'},
        'box-min-kept-25-percent': {'model.box_head.sampler.min_kept'},
        'box-first-kernel-1': {'model.box_head.first_kernel'},
        'fpn': {'model.neck', 'model.decode_head.in_channels', 'model.decode_head.in_index',
                'model.box_head.in_channels', 'model.box_head.in_index',
                'model.box_head.first_kernel'},
        'deeplabv3-heads': {'model.decode_head', 'model.box_head'},
    },
    STRONG: {key: BOTH[key]
             for key in ('no-bootstrapping', 'bootstrap-categories', 'bootstrap-boxes')},
}
DEPTH = {f'model.backbone.{key}' for key in ('depth', 'init_cfg.checkpoint')}
STRIDE = {'model.data_preprocessor.size_divisor', 'model.backbone.output_stride',
          'model.decode_head.classifier_dilation', 'model.box_head.dilation'}
BESIDE = {
    LARGE.replace('r50', 'r18'): DEPTH | {'model.decode_head.in_channels',
                                          'model.box_head.in_channels'},
    LARGE.replace('r50', 'r34'): DEPTH | {'model.decode_head.in_channels',
                                          'model.box_head.in_channels'},
    LARGE.replace('r50', 'r101'): DEPTH,
    LARGE.replace('r50', 'r152'): DEPTH,
    LARGE.replace('d8', 'd16'): STRIDE,
    LARGE.replace('d8', 'd32'): STRIDE,
}
CASES = [(base, f'{base}_{name}', keys) for base, part in ABLATIONS.items()
         for name, keys in part.items()] + [(LARGE, name, keys) for name, keys in BESIDE.items()]


@cache
def read(repo, name: str) -> Config:
    file, = (repo / 'configs' / 'instbox').rglob(f'{name}.py')
    return Config.fromfile(file)


def flatten(node: object, name: str = '') -> dict[str, object]:
    """Settings by their dotted key; lists are one setting each."""
    if not isinstance(node, dict) or not node:
        return {name: node}
    parts = [flatten(value, f'{name}.{key}' if name else key) for key, value in node.items()]
    return {key: value for part in parts for key, value in part.items()}


def changed(one: Config, two: Config) -> set[str]:
    """Keys whose settings differ; a dictionary that took the place of another counts as one."""
    missing = object()
    one, two = flatten(one.to_dict()), flatten(two.to_dict())
    return {key for key in one.keys() | two.keys()
            if one.get(key, missing) != two.get(key, missing)}


@pytest.mark.parametrize('base, name, keys', CASES, ids=[case[1] for case in CASES])
def test_it_changes_only_what_it_is_about(repo, base, name, keys):
    cfg = read(repo, name)
    found = changed(read(repo, base), cfg)
    for key in found:
        assert any(key == allowed or key.startswith(f'{allowed}.') for allowed in keys), key
    assert found
    check_pipeline(Compose(cfg.train_dataloader.dataset.pipeline))
    stride = cfg.model.backbone.get('output_stride', 16)
    assert cfg.model.data_preprocessor.size_divisor == stride
    if cfg.model.box_head.type == 'PixelBoxHead':  # others have features of their own
        assert cfg.model.decode_head.in_channels == cfg.model.box_head.in_channels


def test_all_ablations_are_tested(repo):
    found = {file.stem for file in (repo / 'configs' / 'instbox' / 'ablations').glob('*.py')
             if file.stem.startswith(tuple(f'{base}_' for base in ABLATIONS))}
    assert found - {f'{LARGE}_sbd-val'} == {case[1] for case in CASES} - set(BESIDE)


@pytest.mark.parametrize('name', ['frozen-categories', 'own-backbone-frozen-categories'])
def test_the_frozen_network_is_one_that_a_config_trains(repo, name):
    cfg = read(repo, f'{LARGE}_{name}')
    folder, file = cfg.load_from.split('/')[1:]
    before = Config.fromfile(repo / 'configs' / 'fcrn' / f'{folder}.py')
    assert file == f'iter_{before.train_cfg.max_iters}.pth'
    assert before.train_cfg.max_iters % before.default_hooks.checkpoint.interval == 0
    with torch.device('meta'):
        network, model = (MODELS.build(each.model) for each in (before, cfg))
    missing, left_over = model.load_state_dict(network.state_dict(), strict=False, assign=True)
    assert left_over == []
    assert {key.split('.')[0] for key in missing} == {'box_head'}
