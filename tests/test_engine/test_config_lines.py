"""The lines of docs/scale.md do what they say, each added to the config of a run on the CPU."""
import re
from inspect import signature

import mmengine.runner.activation_checkpointing
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from recorded_runs import FROZEN, load, recorded_losses

from mmseg_instbox.engine import adapt_to_cpu
from mmseg_instbox.models import InstBoxSegmentor

SHORT = FROZEN + """
train_dataloader.update(batch_size=2)
train_cfg.update(max_iters=4, val_interval=4)
default_hooks['checkpoint'].update(interval=1, max_keep_ckpts=-1)
"""


@pytest.fixture(scope='module')
def lines(repo):
    """The lines by what they are for."""
    table = (repo / 'docs' / 'scale.md').read_text().split('## A line in the config each')[1]
    return dict(re.findall(r'^\| ([^|]+) \| `([^`|]+ = [^`|]+)` \|$', table, re.MULTILINE))


@pytest.fixture(scope='module')
def short(make_config):
    """A config without any of the lines: four iterations of two images."""
    return make_config(SHORT)


@pytest.fixture(scope='module')
def plain(short, train, tmp_path_factory):
    """The work directory of a run without any of the lines."""
    work_dir = tmp_path_factory.mktemp('plain')
    train(short, work_dir)
    return work_dir


def weights(work_dir, iteration=4):
    return load(work_dir / f'iter_{iteration}.pth')['state_dict']


def total_losses(work_dir):
    return [line['loss'] for line in recorded_losses(work_dir)]


def assert_same_weights(one, two, rtol=1e-4, atol=1e-6):
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=rtol, atol=atol, msg=name)


def test_all_lines_of_the_table_are_tried(lines):
    assert len(lines) == 5


def test_mixed_precision(lines, short, plain, make_config, train, tmp_path):
    runner = train(make_config(lines['mixed precision'], short), tmp_path)
    assert type(runner.optim_wrapper).__name__ == 'CPUAmpOptimWrapper'
    assert total_losses(tmp_path) != total_losses(plain)
    assert total_losses(tmp_path) == pytest.approx(total_losses(plain), rel=0.05)
    assert {value.dtype for value in weights(tmp_path).values()
            if value.is_floating_point()} == {torch.float32}


def test_mixed_precision_on_a_gpu_is_what_mmengine_takes(lines, short, make_config):
    cfg = Config.fromfile(make_config(lines['mixed precision'], short)).optim_wrapper
    assert OPTIM_WRAPPERS.get(cfg.pop('type')) is AmpOptimWrapper
    assert set(cfg) - set(signature(OptimWrapper).parameters) <= {'dtype', 'paramwise_cfg'}


def test_accumulation_of_two_batches_is_one_batch_of_both(
        lines, short, make_config, train, tmp_path):
    accumulated, whole = tmp_path / 'accumulated', tmp_path / 'whole'
    train(make_config(lines['gradient accumulation'], short), accumulated)
    train(short, whole, {'train_dataloader.batch_size': 4, 'train_cfg.max_iters': 2})
    assert_same_weights(weights(accumulated), weights(whole, 2))
    assert_same_weights(weights(accumulated, 3), weights(whole, 1))  # no update in the third


@pytest.mark.parametrize('what, module', [
    ('any part of the model', mmengine.runner.activation_checkpointing),
    ('each residual block', torch.utils.checkpoint),
])
def test_activation_checkpointing_changes_no_result(
        lines, short, plain, make_config, train, tmp_path, monkeypatch, what, module):
    calls, checkpoint = [], module.checkpoint

    def counted(*args, **kwargs):
        calls.append(torch.is_grad_enabled())  # validation asks for none
        return checkpoint(*args, **kwargs)

    monkeypatch.setattr(module, 'checkpoint', counted)
    line = lines[f'activation checkpointing, {what}']
    train(make_config(line, short), tmp_path)
    assert sum(calls) == 4 * (2 if 'layer3' in line else 8)  # ResNet-18 has eight blocks
    assert total_losses(tmp_path) == pytest.approx(total_losses(plain), rel=1e-5)
    assert_same_weights(weights(tmp_path), weights(plain))


def test_a_checkpointed_part_learns_from_frozen_features_in_a_tuple():
    model = torch.nn.Sequential(torch.nn.Bilinear(2, 2, 2))
    forward = model[0].forward
    model[0].forward = lambda feats: forward(*feats)  # as heads take those of all stages
    mmengine.runner.activation_checkpointing.turn_on_activation_checkpointing(model, '0')
    model((torch.ones(2), torch.ones(2))).sum().backward()
    assert model[0].weight.grad.eq(1).all()


def test_moving_average_is_saved_and_validated(
        lines, short, plain, make_config, train, tmp_path, monkeypatch):
    name, validated = 'decode_head.conv_seg.weight', []
    predict = InstBoxSegmentor.predict

    def noted(self, *args, **kwargs):
        validated.append(self.state_dict()[name].clone())
        return predict(self, *args, **kwargs)

    monkeypatch.setattr(InstBoxSegmentor, 'predict', noted)
    line = lines['moving average of the weights (EMA)'].replace('0.0002', '0.25')
    train(make_config(line, short), tmp_path)
    average = None
    for iteration in range(1, 5):
        checkpoint = load(tmp_path / f'iter_{iteration}.pth')
        current = checkpoint['ema_state_dict'][f'module.{name}']
        assert torch.equal(current, weights(plain, iteration)[name])  # trains as without
        average = current if average is None else 0.75 * average + 0.25 * current
        torch.testing.assert_close(checkpoint['state_dict'][name], average)
    assert torch.equal(validated[0], checkpoint['state_dict'][name])
    assert not torch.equal(validated[0], current)


def fsdp_lines(repo):
    """The block of Python in the section on FSDP."""
    return (repo / 'docs' / 'scale.md').read_text().split('```python\n')[1].split('```')[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_fsdp_without_gpus_is_answered_with_a_sentence(repo, short, make_config):
    cfg = Config.fromfile(make_config(fsdp_lines(repo), short))
    assert cfg.runner_type == 'FlexibleRunner'
    with pytest.raises(ValueError, match='FSDPStrategy needs GPUs'):
        adapt_to_cpu(cfg)


def test_the_runner_that_fsdp_needs_trains_alike(short, plain, make_config, train, tmp_path):
    lines = "runner_type = 'FlexibleRunner'\nstrategy = dict(type='SingleDeviceStrategy')"
    train(make_config(lines, short), tmp_path)
    assert total_losses(tmp_path) == pytest.approx(total_losses(plain), rel=1e-6)
