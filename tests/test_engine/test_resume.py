"""A run that was interrupted goes on with the losses that it would have had."""
import math

import pytest
import torch
from recorded_runs import load, recorded_losses

RANDOM = """
model = dict(decode_head=dict(dropout_ratio=0.5))
train_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='{sampler}'),
    dataset=dict(pipeline=[
        dict(type='LoadInstImage'),
        dict(type='LoadInstAnnotations'),
        dict(type='RandomResize', scale=(64, 64), ratio_range=(0.8, 1.5), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(64, 64), cat_max_ratio=0.9),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackInstInputs')]))
custom_hooks = [dict(type='EMAHook', momentum=0.1), dict(type='LossRecorder')]
default_hooks = dict(checkpoint=dict(interval=4, max_keep_ckpts=-1, save_best=None))
train_cfg = dict(max_iters=8, val_interval=3)
"""
EPOCHS = """
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=4, val_interval=2)
default_hooks['checkpoint'].update(interval=2, by_epoch=True)
"""
LOOPS = {
    'iterations': (RANDOM.format(sampler='SeededInfiniteSampler'), 'iter_4.pth', 'iter_8.pth'),
    'epochs': (RANDOM.format(sampler='SeededDefaultSampler') + EPOCHS,
               'epoch_2.pth', 'epoch_4.pth'),
}


@pytest.fixture(scope='module', params=list(LOOPS))
def straight(request, make_config, train, tmp_path_factory):
    """An uninterrupted run of 8 iterations with two workers: config, middle, end, losses."""
    lines, middle, end = LOOPS[request.param]
    work_dir = tmp_path_factory.mktemp(f'straight_{request.param}')
    config = make_config(lines)
    train(config, work_dir)  # the config has no seed: the run draws one
    return config, work_dir / middle, work_dir / end, recorded_losses(work_dir)


def test_every_pass_shows_every_image(straight):
    losses = straight[-1]
    assert [line['iter'] for line in losses] == list(range(1, 9))
    for first, second in zip(losses[::2], losses[1::2], strict=True):
        assert sorted(first['images'] + second['images']) == ['000', '001', '002', '003']
    assert len({line['loss'] for line in losses}) == 8
    assert all(math.isfinite(line['loss']) for line in losses)


@pytest.mark.parametrize('workers', [0, 2])
def test_resuming_gives_losses_and_weights_to_the_last_digit(straight, train, tmp_path, workers):
    config, middle, end, losses = straight
    options = {'train_dataloader.num_workers': workers,
               'train_dataloader.persistent_workers': workers > 0}
    torch.rand(7)  # another random state than at the start of the straight run
    train(config, tmp_path, options, middle)
    assert recorded_losses(tmp_path) == losses[4:]
    resumed, expected = load(tmp_path / end.name), load(end)
    for key in ('state_dict', 'ema_state_dict'):
        assert resumed[key].keys() == expected[key].keys()
        for name, value in expected[key].items():
            assert torch.equal(resumed[key][name], value), name


@pytest.mark.parametrize('straight', ['iterations'], indirect=True)
def test_a_process_of_its_own_resumes_alike(straight, launch, tmp_path):
    config, middle, _, losses = straight
    launch('train.py', config, '--work-dir', tmp_path, '--resume', middle)
    assert recorded_losses(tmp_path) == losses[4:]
