"""Checkpoints of a training load weights-only, and the run goes on from them."""
import io
import json
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmseg.apis import inference_model, init_model
from recorded_runs import FROZEN, load, recorded_losses

from mmseg_instbox.engine import adapt_to_cpu, load_config
from mmseg_instbox.engine.checkpoints import checkpoint_config
from mmseg_instbox.engine.hooks import PlainCheckpointHook, plain_checkpoint_hook
from mmseg_instbox.engine.hooks.plain_checkpoint_hook import not_plain, to_plain
from mmseg_instbox.engine.start_weights import check_weights

RUN = FROZEN + """
train_cfg.update(max_iters=4, val_interval=2)
default_hooks['checkpoint'].update(interval=2, max_keep_ckpts=-1, save_best='mIoU')
custom_hooks = [dict(type='EMAHook', momentum=0.1), dict(type='LossRecorder')]
"""
PICKLED = """
default_hooks = dict(plain_checkpoint=dict(_delete_=True, type='EmptyCacheHook'))
"""


@pytest.fixture(scope='module')
def config(make_config):
    return make_config(RUN)


@pytest.fixture(scope='module')
def work_dir(config, train, tmp_path_factory):
    """A run of four iterations with a checkpoint in its middle."""
    folder = tmp_path_factory.mktemp('plain')
    train(config, folder)
    return folder


@pytest.fixture(scope='module')
def pickled(make_config, config, train, tmp_path_factory):
    """The same run without the hook: its checkpoints are MMEngine's own."""
    folder = tmp_path_factory.mktemp('pickled')
    train(make_config(PICKLED, base=config), folder)
    return folder


def test_every_checkpoint_loads_weights_only(work_dir):
    files = sorted(work_dir.glob('*.pth'))
    assert {'iter_2.pth', 'iter_4.pth'} < {file.name for file in files}
    assert len(files) > 2  # the best one among them
    for file in files:
        checkpoint = load(file)
        assert list(not_plain(checkpoint)) == []
        assert {'state_dict', 'ema_state_dict', 'message_hub', 'meta'} <= checkpoint.keys()
        assert checkpoint['meta']['dataset_meta']['classes'] == ('background', 'square', 'disc')


def test_the_config_travels_as_json_and_never_as_python(config, work_dir):
    checkpoint = load(work_dir / 'iter_4.pth')
    assert 'cfg' not in checkpoint['meta']
    assert 'cfg' not in checkpoint['message_hub']['runtime_info']
    assert json.loads(checkpoint['meta']['config_json'])['model']['type'] == 'InstBoxSegmentor'
    with pytest.raises(ValueError, match='imports .recorded_runs'):  # of this test, no package's
        checkpoint_config(checkpoint)
    carried, own = checkpoint_config(checkpoint, allow_pickle=True), load_config(str(config))
    adapt_to_cpu(own)
    for part in ('model', 'train_dataloader', 'default_hooks', 'test_pipeline', 'optim_wrapper'):
        assert repr(carried[part]) == repr(own[part]), part


def test_a_run_goes_on_as_it_would_have(config, work_dir, train, tmp_path):
    cfg = Config(dict(load_from=str(work_dir / 'iter_2.pth'), resume=True))
    check_weights(cfg)
    runner = train(config, tmp_path, resume=work_dir / 'iter_2.pth')
    assert recorded_losses(tmp_path) == recorded_losses(work_dir)[2:]
    resumed, straight = load(tmp_path / 'iter_4.pth'), load(work_dir / 'iter_4.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(resumed[key][name], value)
                   for name, value in straight[key].items())
    # the log goes on where it stopped, validation and best score included
    history = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(history) == 4
    assert history[:2].tolist() == pytest.approx(
        [line['loss'] for line in recorded_losses(work_dir)[:2]])
    scores = straight['message_hub']['log_scalars']['val/mIoU']['$history'][0]
    assert torch.equal(resumed['message_hub']['log_scalars']['val/mIoU']['$history'][0], scores)


def test_mmengines_own_checkpoints_still_resume(config, pickled, work_dir, train, tmp_path):
    with pytest.raises(Exception, match='(?i)weights.only'):
        load(pickled / 'iter_2.pth')
    assert recorded_losses(pickled) == recorded_losses(work_dir)
    train(config, tmp_path, resume=pickled / 'iter_2.pth')
    assert recorded_losses(tmp_path) == recorded_losses(work_dir)[2:]
    load(tmp_path / 'iter_4.pth')  # and go on as plain ones


def test_mmsegs_functions_read_the_checkpoints(config, work_dir, tiny_voc, monkeypatch):
    monkeypatch.setattr('mmengine.runner.checkpoint.print_log', no_fallback)
    model = init_model(str(config), str(work_dir / 'iter_4.pth'), device='cpu')
    assert model.dataset_meta['thing_classes'] == ('square', 'disc')
    result = inference_model(model, str(tiny_voc / 'JPEGImages' / '004.jpg'))
    assert result.pred_sem_seg.data.shape == (1, 64, 64)


def no_fallback(message, *_, **__):
    assert 'Falling back' not in message


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What the hook logs."""
    messages = []
    monkeypatch.setattr(plain_checkpoint_hook, 'print_log',
                        lambda message, *_: messages.append(message))
    return messages


def make_checkpoint() -> dict:
    hub = MessageHub('test')
    hub.update_scalar('loss', 0.5)
    hub.update_info('cfg', 'import os')
    return dict(meta=dict(cfg='import os', iter=1), message_hub=hub.state_dict(),
                state_dict=dict(weight=torch.ones(2)))


def test_a_config_that_json_cannot_express_is_told_and_left_out(told):
    hook, checkpoint = PlainCheckpointHook(), make_checkpoint()
    hook.before_run(SimpleNamespace(cfg=Config(dict(custom_hooks=[dict(function=len)]))))
    assert 'carry no config' in told[0] and 'cfg.custom_hooks[0].function' in told[0]
    hook.before_save_checkpoint(None, checkpoint)
    assert checkpoint['meta'] == dict(iter=1)
    assert checkpoint_config(checkpoint) is None


def test_an_object_that_cannot_be_stored_plainly_is_told_and_kept(told):
    hook, checkpoint = PlainCheckpointHook(), make_checkpoint()
    checkpoint['mine'] = value = {1, 2}, slice(3)
    hook.before_save_checkpoint(SimpleNamespace(cfg=Config(dict(a=1))), checkpoint)
    message, = told
    assert 'checkpoint.mine[1] is a builtins.slice' in message and '--allow-pickle' in message
    assert checkpoint['mine'] == value
    assert checkpoint_config(checkpoint).a == 1


def test_saving_leaves_the_runners_own_log_alone():
    hub = MessageHub('own')
    hub.update_scalar('loss', 0.5)
    hub.update_info('cfg', 'python')
    checkpoint = dict(make_checkpoint(), message_hub=hub.state_dict())
    PlainCheckpointHook().before_save_checkpoint(SimpleNamespace(cfg=Config()), checkpoint)
    assert isinstance(hub.log_scalars['loss'], HistoryBuffer)
    assert hub.get_info('cfg') == 'python' and hub.state_dict()['resumed_keys']['cfg']


def test_each_schedule_of_ours_writes_plain_checkpoints(repo):
    for file in (repo / 'configs' / '_base_' / 'schedules').glob('*.py'):
        hook = Config.fromfile(file).default_hooks.plain_checkpoint
        assert hook == dict(type='PlainCheckpointHook'), file


def stored(value):
    """The value after a way through a file that is read weights-only."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_a_history_comes_back_to_the_last_digit_and_goes_on():
    history = HistoryBuffer([0.1, 1 / 3], [1, 2], max_length=3)
    scalars = stored(to_plain(OrderedDict(loss=history)))
    PlainCheckpointHook().after_load_checkpoint(None, dict(message_hub=dict(log_scalars=scalars)))
    back = scalars['loss']
    for new, old in zip(back.data, history.data, strict=True):
        assert new.dtype == old.dtype and np.array_equal(new, old)
    assert back.max_length == 3
    for buffer in (back, history):
        buffer.update(0.7, 5)
        buffer.update(0.2)
    assert back.mean() == history.mean() and len(back.data[0]) == 3


def test_arrays_become_lists_and_numbers_become_pythons():
    value = dict(palette=np.arange(6, dtype=np.uint8).reshape(2, 3), eta=np.float64(0.5),
                 folder=Path('a/b'), nested=[(np.int64(3), None)], size=torch.Size([2]))
    plain = to_plain(value)
    assert list(not_plain(plain)) == []
    back = stored(plain)
    assert back['palette'] == [[0, 1, 2], [3, 4, 5]]  # as load_model expects it
    assert type(back['eta']) is float and back['eta'] == 0.5
    assert (back['folder'], back['nested'], back['size']) == ('a/b', [(3, None)], torch.Size([2]))


@pytest.mark.parametrize('culprit', [np.float64(1), HistoryBuffer(), object(), Path(), len])
def test_what_is_not_plain_is_found_wherever_it_is(culprit):
    place, = not_plain(dict(meta=[dict(a=(1, culprit))]))
    assert place.startswith('checkpoint.meta[0].a[1] is a ')
    with pytest.raises(Exception, match='(?i)weights'):
        stored(dict(a=culprit))
