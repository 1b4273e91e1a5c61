import pytest
import torch
from mmengine.config import Config

from mmseg_instbox.engine import (
    adapt_to_cpu,
    draw_pictures,
    set_resume,
    set_work_dir,
    write_plain_checkpoints,
)
from mmseg_instbox.engine import run_config as module


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(module, 'get_device', lambda: 'cpu')


@pytest.fixture
def on_gpu(monkeypatch):
    monkeypatch.setattr(module, 'get_device', lambda: 'cuda')


def test_work_dir_comes_from_argument_config_or_file_name(tmp_path):
    file = tmp_path / 'instbox_tiny.py'
    file.write_text('a = 1\n')
    cfg = Config.fromfile(file)
    set_work_dir(cfg, None)
    assert cfg.work_dir == 'work_dirs/instbox_tiny'
    cfg.work_dir = 'from_config'
    set_work_dir(cfg, None)
    assert cfg.work_dir == 'from_config'
    set_work_dir(cfg, 'from_argument')
    assert cfg.work_dir == 'from_argument'


def test_resume_from_nothing_the_last_or_a_file(tmp_path):
    checkpoint = tmp_path / 'iter_4.pth'

    def resumed(resume):
        cfg = Config(dict(resume=False, load_from='weights.pth', work_dir=str(tmp_path)))
        set_resume(cfg, resume)
        return cfg.resume, cfg.load_from

    assert resumed(None) == (False, 'weights.pth')
    assert resumed('auto') == (False, 'weights.pth')  # nothing to go on from yet
    torch.save(dict(state_dict={}, meta={}), checkpoint)
    assert resumed('auto') == (True, str(checkpoint))
    assert resumed(str(checkpoint)) == (True, str(checkpoint))


def test_a_config_may_ask_to_resume(tmp_path):
    cfg = Config(dict(resume=True, load_from=None, work_dir=str(tmp_path)))
    set_resume(cfg, None)
    assert (cfg.resume, cfg.load_from) == (False, None)
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'iter_4.pth')
    cfg.resume = True
    set_resume(cfg, None)
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'iter_4.pth'))


MODEL = dict(
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    heads=[dict(norm_cfg=dict(type='SyncBN')), dict(norm_cfg=dict(type='GN', num_groups=4))])


def test_synchronized_batch_norm_becomes_plain_on_a_cpu(on_cpu):
    cfg = Config(dict(model=MODEL, launcher='none'))
    adapt_to_cpu(cfg)
    assert cfg.model.norm_cfg == dict(type='BN', requires_grad=True)
    assert [head.norm_cfg.type for head in cfg.model.heads] == ['BN', 'GN']
    assert 'model_wrapper_cfg' not in cfg


def test_a_gpu_changes_nothing(on_gpu):
    cfg = Config(dict(model=MODEL, launcher='pytorch'))
    adapt_to_cpu(cfg)
    assert cfg.to_dict() == dict(model=MODEL, launcher='pytorch')


def test_slurm_without_a_gpu_is_refused(on_cpu):
    with pytest.raises(ValueError, match='--launcher slurm needs GPUs'):
        adapt_to_cpu(Config(dict(model=dict(), launcher='slurm')))


def test_pictures_go_to_the_directory_asked_for(tmp_path):
    cfg = Config(dict(
        default_hooks=dict(visualization=dict(type='SegVisualizationHook')),
        visualizer=dict(vis_backends=[dict(type='LocalVisBackend'),
                                      dict(type='TensorboardVisBackend')])))
    draw_pictures(cfg, str(tmp_path), False, 2)
    assert cfg.default_hooks.visualization.draw is True
    assert cfg.visualizer.vis_backends == [
        dict(type='TensorboardVisBackend'),
        dict(type='LocalVisBackend', img_save_dir=str(tmp_path))]


def test_pictures_need_the_hook():
    with pytest.raises(ValueError, match='SegVisualizationHook'):
        draw_pictures(Config(dict(default_hooks=dict())), 'pictures', False, 2)


def test_a_training_without_the_hook_gets_it():
    for hooks in (dict(), dict(default_hooks=dict(logger=dict(type='LoggerHook')))):
        cfg = Config(hooks)
        write_plain_checkpoints(cfg)
        assert cfg.default_hooks.plain_checkpoint.type == 'PlainCheckpointHook'
    own = Config(dict(default_hooks=dict(plain_checkpoint=dict(type='Mine'))))
    write_plain_checkpoints(own)
    assert own.default_hooks.plain_checkpoint.type == 'Mine'
