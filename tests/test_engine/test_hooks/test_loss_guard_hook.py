"""A loss that is not finite changes nothing, is told, and ends the run if it comes often."""
import math
import re
from types import SimpleNamespace

import pytest
import torch
from faults import FAULTS
from recorded_runs import load, recorded_losses

from mmseg_instbox.engine import last_checkpoint, load_config, training_config
from mmseg_instbox.engine.hooks import LossGuardHook
from mmseg_instbox.errors import TrainingError

# four images in batches of two: one iteration of each pass over them has image 002
LINES = FAULTS + """
train_dataloader = dict(
    sampler=dict(type='SeededInfiniteSampler'),
    dataset=dict(pipeline=[
        dict(type='LoadInstImage'),
        dict(type='LoadInstAnnotations'),
        dict(type='SpoilImage', names=['002'], value='{value}'),
        dict(type='PackInstInputs')]))
train_cfg = dict(max_iters=8, val_interval=100)
default_hooks = dict(
    loss_guard=dict(tolerated={tolerated}),
    checkpoint=dict(interval=1, max_keep_ckpts=-1, save_best=None))
randomness = dict(seed=0)
"""
PARTS = ('state_dict', 'optimizer')


@pytest.fixture(scope='module')
def spoilt(make_config, train, tmp_path_factory):
    """The work directory of a run of 8 iterations, 4 of them with an image of NaN."""
    work_dir = tmp_path_factory.mktemp('spoilt')
    train(make_config(LINES.format(value='nan', tolerated=4)), work_dir, {'log_level': 'WARNING'})
    return work_dir


def tensors(value):
    """All tensors in a nested value."""
    if isinstance(value, torch.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value
    return [each for item in values if isinstance(item, dict | list | tuple | torch.Tensor)
            for each in tensors(item)]


def same(one, other):
    one, other = tensors(one), tensors(other)
    return len(one) == len(other) and all(map(torch.equal, one, other))


def bad_iterations(work_dir, rank=0):
    return [line['iter'] for line in recorded_losses(work_dir, rank)
            if not math.isfinite(line['loss'])]


def test_weights_optimizer_and_statistics_stay_as_they_were(spoilt):
    lines = recorded_losses(spoilt)
    bad = [line['iter'] for line in lines if '002' in line['images']]
    assert len(bad) == 4 and bad_iterations(spoilt) == bad
    for index in range(2, 9):
        before, after = (load(spoilt / f'iter_{i}.pth') for i in (index - 1, index))
        for part in PARTS:
            assert same(before[part], after[part]) == (index in bad), (index, part)
        assert all(tensor.isfinite().all() for tensor in tensors(after['state_dict']))
        steps = [scheduler['last_step'] for scheduler in after['param_schedulers']]
        assert max(steps) == index  # the learning rate goes on


def test_images_and_losses_are_named(spoilt):
    log = next(spoilt.glob('*/*.log')).read_text()
    told = [line for line in log.splitlines() if 'loss is not finite' in line]
    assert len(told) == 4 and 'WARNING' in told[0]
    for number, (line, iteration) in enumerate(zip(told, bad_iterations(spoilt), strict=True), 1):
        assert f'Iteration {iteration}:' in line and f'{number} of 4' in line
        assert 'decode.loss_ce is nan' in line and 'box.loss_box is nan' in line
        assert len(re.findall(r'\S+JPEGImages/\d+\.jpg', line)) == 2 and '002.jpg' in line


@pytest.mark.parametrize('value', ['nan', 'inf'])
def test_one_more_than_tolerated_ends_the_run(make_config, train, tmp_path, value):
    config = make_config(LINES.format(value=value, tolerated=1))
    with pytest.raises(TrainingError, match=r'in 2 iterations, and 1 are.*002\.jpg.*tolerated'):
        train(config, tmp_path)
    last = last_checkpoint(tmp_path)
    state = load(last)
    assert state['meta']['iter'] in (2, 3)
    assert all(tensor.isfinite().all() for tensor in tensors(state['state_dict']))
    # who resumes has no more of them left than who was never stopped
    with pytest.raises(TrainingError, match='in 2 iterations, and 1 are'):
        train(config, tmp_path / 'resumed', resume=last)


def test_none_may_be_tolerated(make_config, train, tmp_path):
    with pytest.raises(TrainingError, match='in 1 iterations, and 0 are'):
        train(make_config(LINES.format(value='nan', tolerated=0)), tmp_path)


def test_without_a_bad_loss_the_run_is_the_same(make_config, train, tmp_path):
    config = make_config(LINES.format(value='nan', tolerated=0).replace("['002']", '[]'))
    train(config, tmp_path / 'with')
    lines = "default_hooks = dict(loss_guard=dict(_delete_=True, type='EmptyCacheHook'))"
    train(make_config(lines, config), tmp_path / 'without')
    assert recorded_losses(tmp_path / 'with') == recorded_losses(tmp_path / 'without')
    ends = [load(tmp_path / name / 'iter_8.pth') for name in ('with', 'without')]
    assert all(same(*(end[part] for end in ends)) for part in PARTS)


def test_accumulated_gradients_of_a_bad_window_are_dropped(make_config, train, tmp_path):
    config = make_config(LINES.format(value='nan', tolerated=4)
                         + 'optim_wrapper = dict(accumulative_counts=2)')
    train(config, tmp_path)
    bad, states = bad_iterations(tmp_path), {}
    for iteration in range(1, 9):
        states[iteration] = load(tmp_path / f'iter_{iteration}.pth')['optimizer']
    for last in (4, 6, 8):
        # an update comes at the end of a window of two, unless the loss there is a bad one
        assert same(states[last - 1], states[last]) == (last in bad)
        assert same(states[last - 2], states[last - 1])
    assert {last in bad for last in (2, 4, 6, 8)} == {True, False}


@pytest.mark.parametrize('lines, names', [
    ('', r'backbone\S+'), ("custom_hooks.append(dict(type='EMAHook', momentum=0.5))", r'\S+')])
def test_weights_that_are_not_finite_are_not_written(make_config, train, tmp_path, lines, names):
    config = make_config(
        LINES.format(value='nan', tolerated=4).replace("['002']", '[]')
        + "custom_hooks = [dict(type='LossRecorder'), dict(type='SpoilWeights', after=3)]\n"
        + lines)
    with pytest.raises(TrainingError, match=rf'iteration 3 the numbers in \S+ .*\({names}\)'):
        train(config, tmp_path)
    assert load(last_checkpoint(tmp_path))['meta']['iter'] == 2
    assert not (tmp_path / 'iter_3.pth').exists()


def test_weights_that_are_not_finite_are_not_taken_for_a_bad_image(make_config, train, tmp_path):
    config = make_config(
        LINES.format(value='nan', tolerated=4).replace("['002']", '[]')
        + "custom_hooks = [dict(type='LossRecorder'), dict(type='SpoilWeights', after=3)]\n"
        + "default_hooks['checkpoint'].update(interval=8)")
    with pytest.raises(TrainingError, match='not finite before iteration 4 .*earlier update'):
        train(config, tmp_path)


def test_it_works_in_mixed_precision(make_config, train, tmp_path):
    config = make_config(LINES.format(value='nan', tolerated=4)
                         + "optim_wrapper = dict(type='CPUAmpOptimWrapper')")
    train(config, tmp_path)
    assert len(bad_iterations(tmp_path)) == 4
    assert all(tensor.isfinite().all()
               for tensor in tensors(load(tmp_path / 'iter_8.pth')['state_dict']))


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about processes on the CPU')
def test_processes_decide_alike(make_config, launch, tmp_path):
    config = make_config(LINES.format(value='nan', tolerated=8))
    launch('train.py', config, '--launcher', 'pytorch', '--work-dir', tmp_path, '--cfg-options',
           'train_dataloader.batch_size=1', processes=2)
    bad = [bad_iterations(tmp_path, rank) for rank in range(2)]
    assert bad[0] and bad[1] and not set(bad[0]) & set(bad[1])  # one process has the image
    for index in range(2, 9):
        before, after = (load(tmp_path / f'iter_{i}.pth') for i in (index - 1, index))
        for part in PARTS:
            assert same(before[part], after[part]) == (index in bad[0] + bad[1]), (index, part)
    told = [line for line in next(tmp_path.glob('*/*.log')).read_text().splitlines()
            if 'loss is not finite' in line]
    assert len(told) == 4 and all('002.jpg' in line for line in told)


def test_an_engine_that_clears_gradients_by_itself_is_left_to_it():
    """As DeepSpeed's, whose wrapper has no ``zero_grad``."""
    engine = type('Engine', (), dict(update_params=lambda self, loss: pytest.fail('updated')))()
    runner = SimpleNamespace(model=torch.nn.Linear(1, 1), optim_wrapper=engine)
    LossGuardHook().before_train(runner)
    engine.update_params(torch.tensor(math.nan))


def test_every_training_is_watched(tiny_config, tmp_path):
    assert load_config(str(tiny_config)).default_hooks.loss_guard.type == 'LossGuardHook'
    own = tmp_path / 'own.py'
    own.write_text(f"_base_ = '{tiny_config}'\ndefault_hooks = dict(_delete_=True)\n")
    assert training_config(str(own)).default_hooks.loss_guard == dict(type='LossGuardHook')
