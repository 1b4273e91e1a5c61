"""``instbox models``, ``info`` and ``export``: what they say and write, and wrong command lines."""
import json

import numpy as np
import pytest
import torch

from mmseg_instbox.cli.models import MAX_CALIBRATION, calibration_images
from mmseg_instbox.engine import find_model, list_models
from mmseg_instbox.version import __version__


def test_the_environment(succeed):
    lines = succeed('info').output.splitlines()
    facts = dict(line.split(': ', 1) for line in lines if ': ' in line)
    assert facts['mmseg_instbox'] == __version__
    assert facts['numpy'] == np.__version__ and facts['PyTorch'] == torch.__version__
    assert any('mmsegmentation' in name for name in facts)


def test_an_unknown_config_is_answered_with_near_names(fails):
    """Also by the process that measures models."""
    assert 'instbox_fcrn-r50-d8' in fails('info', 'instbox_fcrn-r50')


def test_models_are_listed_by_the_words_in_their_names(succeed, fails):
    assert succeed('models').output.splitlines() == list_models()
    names = succeed('models', 'fcrn', 'shapes').output.splitlines()
    assert names == [name for name in list_models() if 'fcrn' in name and 'shapes' in name]
    assert 'No model fits' in fails('models', 'nothing-of-this-kind')
    ready = [name for name in list_models() if find_model(name)[1]]
    if ready:
        assert succeed('models', '--weights').output.splitlines() == ready


@pytest.fixture
def runtimes() -> None:
    for name in ('onnx', 'onnxruntime', 'openvino'):
        pytest.importorskip(name)


@pytest.mark.parametrize('out', ['model.onnx', 'model.xml'])
def test_an_exported_model_predicts_as_the_checkpoint(succeed, runtimes, checkpoint, tiny_voc,
                                                      tmp_path, out):
    done = succeed('export', checkpoint, tmp_path / out)
    assert f'{out} is written' in done.output
    pictures = tiny_voc / 'JPEGImages'
    found = {}
    for name, model in (('eager', checkpoint), ('exported', tmp_path / out)):
        succeed('predict', pictures, '--model', model, '--out', tmp_path / name, '--no-pictures',
                '--score-thr', 0, '--device', 'cpu')
        content = json.loads((tmp_path / name / 'coco' / 'annotations.json').read_text())
        found[name] = content['annotations']
    assert len(found['eager']) == len(found['exported']) > 0
    for mine, its in zip(found['eager'], found['exported'], strict=True):
        assert mine['category_id'] == its['category_id']
        assert mine['score'] == pytest.approx(its['score'], abs=1e-4)
        assert np.allclose(mine['bbox'], its['bbox'], atol=1)


def test_int8_with_a_folder_of_pictures(succeed, fails, runtimes, checkpoint, tiny_voc, tmp_path):
    succeed('export', checkpoint, tmp_path / 'model.onnx')
    succeed('export', checkpoint, tmp_path / 'small', '--format', 'onnx', '--int8',
            '--calibration', tiny_voc / 'JPEGImages')
    size = (tmp_path / 'model.onnx').stat().st_size
    assert (tmp_path / 'small.onnx').stat().st_size < 0.5 * size
    assert 'no images' in fails('export', checkpoint, tmp_path / 'b.onnx', '--int8',
                                '--calibration', tmp_path)


@pytest.mark.parametrize('arguments, sentence', [
    (['a.pth', 'model.pb'], 'neither in .onnx nor in .xml'),
    (['a.pth', 'b.pth', 'c.pth', 'model.onnx'], 'got 4 names'),
    (['a.pth', 'model.onnx', '--format', 'openvino'], 'does not end in .xml'),
    (['a.pth', 'model.onnx', '--int8'], 'go together'),
    (['a.pth', 'model.onnx', '--calibration', 'photos'], 'go together')])
def test_wrong_command_lines(fails, arguments, sentence):
    assert sentence in fails('export', *arguments, exit_code=2)


def test_what_is_missing_is_named(fails, tiny_voc, tmp_path):
    assert 'nowhere.pth' in fails('export', 'nowhere.pth', tmp_path / 'model.onnx')
    pictures = tiny_voc / 'JPEGImages'
    assert 'none.onnx: no such file' in fails('predict', pictures, '--model', 'none.onnx')


def test_of_many_pictures_some_are_chosen_evenly(tmp_path):
    import cv2
    for number in range(250):
        cv2.imwrite(str(tmp_path / f'{number:03d}.png'), np.full((2, 2, 3), number, np.uint8))
    chosen = [int(each[0, 0, 0]) for each in calibration_images(str(tmp_path))]
    assert len(chosen) == MAX_CALIBRATION and chosen[:3] == [0, 2, 5] and chosen[-1] == 247
