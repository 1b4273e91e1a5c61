import json

import cv2
import pytest
import torch
from mmengine.logging import HistoryBuffer


def test_figures_and_pictures_are_those_of_the_run(succeed, trained, checkpoint, tiny_config,
                                                   tmp_path, apart):
    succeed('test', tiny_config, checkpoint, '--work-dir', tmp_path, '--show-dir',
            tmp_path / 'pictures', *apart)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    scalars = next(trained.glob('*/vis_data/scalars.json')).read_text().splitlines()
    validated = [json.loads(line) for line in scalars if 'mIoU' in line][-1]
    assert metrics == pytest.approx({key: validated[key] for key in metrics}, abs=1e-6)
    pictures = list((tmp_path / 'pictures').iterdir())
    assert len(pictures) == 4 and all(cv2.imread(str(file)) is not None for file in pictures)


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
