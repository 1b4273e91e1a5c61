import shutil

import pytest
import torch


def iteration(checkpoint):
    return torch.load(checkpoint, map_location='cpu', weights_only=True)['meta']['iter']


def test_a_run_leaves_a_checkpoint_that_carries_its_config(trained, checkpoint):
    assert iteration(checkpoint) == 16
    assert 'config_json' in torch.load(checkpoint, weights_only=True)['meta']


def test_resume_goes_on_in_the_work_directory(succeed, trained, tiny_config, tmp_path, apart):
    work_dir = shutil.copytree(trained, tmp_path / 'work')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_16.pth'))
    done = succeed('train', tiny_config, '--work-dir', work_dir, '--resume', *apart,
                   'train_cfg.max_iters=18', 'train_cfg.val_interval=18')
    assert iteration(work_dir / 'iter_18.pth') == 18
    if not torch.cuda.is_available():
        assert 'No GPU here: this runs on the CPU.' in done.output


@pytest.mark.parametrize('name, answer', [
    ('tinny.py', "no config file 'tinny.py'; near it are tiny.py."),
    ('gone/tiny.py', "no config file 'gone/tiny.py'; there is no folder 'gone' either."),
    ('instbox_fcrn-r18-d8_1xb8-2k_shapes', 'instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160'),
])
def test_an_unknown_config_is_answered_with_near_names(fails, monkeypatch, tiny_config, name,
                                                       answer):
    monkeypatch.chdir(tiny_config.parent)
    assert answer in fails('train', name)


def test_a_missing_checkpoint(fails, tiny_config, trained):
    sentence = fails('train', tiny_config, '--resume', trained / 'iter_17.pth')
    assert "no checkpoint '" in sentence and 'iter_17.pth' in sentence
