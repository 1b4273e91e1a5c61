"""``instbox train``, ``test`` and ``browse``: what they leave, and mistakes."""
import json

import cv2
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmseg_instbox.apis import own_data_training


def iteration(checkpoint):
    return torch.load(checkpoint, map_location='cpu', weights_only=True)['meta']['iter']


def test_a_run_leaves_a_checkpoint_that_carries_its_config(trained, checkpoint):
    assert iteration(checkpoint) == 16
    assert 'config_json' in torch.load(checkpoint, weights_only=True)['meta']


def test_resuming_with_other_categories_is_refused(fails, trained, tiny_config, tmp_path):
    config = tmp_path / 'four.py'
    config.write_text(
        f'_base_ = {str(tiny_config)!r}\nmetainfo = dict(classes=("background", "square", "disc", '
        '"star"))\nmodel = dict(decode_head=dict(num_classes=4))\n' + ''.join(
            f'{name}_dataloader = dict(dataset=dict(metainfo=metainfo))\n'
            for name in ('train', 'val', 'test')))
    sentence = fails('train', config, '--work-dir', trained, '--resume')
    assert 'iter_16.pth is of another architecture than the config' in sentence
    assert 'conv_seg' in sentence


@pytest.mark.parametrize('option', [('--minutes', 3), ('--seed', 1), ('--val', 'data')])
def test_options_for_data_do_not_go_with_a_config(fails, tiny_config, option):
    assert f'{option[0]} is for data' in fails('train', tiny_config, *option, exit_code=2)


def test_minutes_and_epochs_are_not_given_both(fails, tmp_path):
    sentence = fails('train', tmp_path, '--epochs', 1, '--minutes', 3, exit_code=2)
    assert 'not both' in sentence


@pytest.mark.parametrize('option, named', [('max_iter=2', 'max_iter'),
                                           ('type=NoSuchLoop', 'NoSuchLoop')])
def test_a_wrong_loop_is_reported(fails, tiny_config, tmp_path, option, named):
    sentence = fails('train', tiny_config, '--work-dir', tmp_path, '--cfg-options',
                     f'train_cfg.{option}')
    assert 'train_cfg' in sentence and named in sentence


def test_a_resumed_training_says_what_it_does_not_read(succeed, monkeypatch, tmp_path):
    monkeypatch.setattr(own_data_training, 'train_on_data', lambda *_, **__: None)
    arguments = ['train', tmp_path, '--work-dir', tmp_path, '--minutes', 3]
    assert '--minutes is not read' in succeed(*arguments, '--resume').stderr
    assert 'not read' not in succeed(*arguments).stderr


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


def test_figures_and_drawings_are_those_of_the_run(succeed, trained, checkpoint, tiny_config,
                                                   tmp_path, apart):
    succeed('test', tiny_config, checkpoint, '--work-dir', tmp_path, '--show-dir',
            tmp_path / 'drawings', *apart)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    scalars = next(trained.glob('*/vis_data/scalars.json')).read_text().splitlines()
    validated = [json.loads(line) for line in scalars if 'mIoU' in line][-1]
    assert metrics == pytest.approx({key: validated[key] for key in metrics}, abs=1e-6)
    drawings = list((tmp_path / 'drawings').iterdir())
    assert len(drawings) == 4 and all(cv2.imread(str(file)) is not None for file in drawings)


def test_a_checkpoint_of_another_architecture_names_the_keys(fails, checkpoint, tiny_config,
                                                             tmp_path, apart):
    wide = tmp_path / 'wide.py'
    wide.write_text(f"_base_ = '{tiny_config}'\nmodel = dict(backbone=dict(depth=34))\n")
    sentence = fails('test', wide, checkpoint, '--work-dir', tmp_path, *apart)
    assert 'of another architecture' in sentence
    assert 'missing (backbone.' in sentence and 'unexpected (backbone.' in sentence


def test_a_checkpoint_with_pickled_objects_needs_a_flag(fails, succeed, checkpoint, tiny_config,
                                                        tmp_path, apart):
    content = torch.load(checkpoint, weights_only=True)
    torch.save(dict(content, log=HistoryBuffer()), tmp_path / 'old.pth')
    arguments = ['test', tiny_config, tmp_path / 'old.pth', '--work-dir', tmp_path, *apart]
    assert '--allow-pickle' in fails(*arguments)
    succeed(*arguments, '--allow-pickle')
    assert (tmp_path / 'metrics.json').is_file()


def test_writes_the_drawings_asked_for(succeed, tiny_config, tmp_path):
    result = succeed('browse', tiny_config, '--out', tmp_path / 'out', '--number', 2)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        '0000_000.jpg', '0001_001.jpg']
    assert f'2 drawings are in {tmp_path / "out"}' in result.output


def test_split_seed_and_settings_count(succeed, tiny_config, tmp_path):
    succeed('browse', tiny_config, '--out', tmp_path, '--split', 'val', '--seed', 3, '--number', 1,
            '--cfg-options', 'val_dataloader.dataset.ann_file=ImageSets/Segmentation/train.txt')
    assert [path.name for path in tmp_path.iterdir()] == ['0000_000.jpg']


def test_mistakes_end_with_a_sentence(fails, tiny_config, tmp_path):
    assert '--out DIR' in fails('browse', tiny_config, exit_code=2)
    fails('browse', tiny_config, '--out', tmp_path, '--number', 0, exit_code=2)
    fails('browse', tiny_config, '--out', tmp_path, '--split', 'dev', exit_code=2)
    assert 'missing.py' in fails('browse', tmp_path / 'missing.py', '--out', tmp_path)
    sentence = fails('browse', tiny_config, '--out', tmp_path, '--cfg-options',
                     'train_dataloader.dataset.data_root=/nowhere')
    assert '/nowhere' in sentence and 'no such folder' in sentence


def test_help_has_examples_and_defaults(succeed):
    text = succeed('browse', '--help').output
    assert 'instbox browse my_config.py --out samples' in text and '[default:' in text
