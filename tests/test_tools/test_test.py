import json
import socket

import cv2
import pytest
import torch

KEYS = ['mIoU', 'APr_0.5', 'APr_0.6', 'APr_0.7', 'APr_0.8', 'APr_0.9', 'APr_vol']


def test_metrics_and_pictures_are_written(run_tool, tiny_config, trained, tmp_path):
    pictures = tmp_path / 'pictures'
    done = run_tool('test.py', tiny_config, trained / 'iter_2.pth', '--work-dir', tmp_path,
                    '--show-dir', pictures)
    assert done.returncode == 0, done.stdout[-4000:]
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert list(metrics) == KEYS
    assert all(0 <= value <= 1 for value in metrics.values())
    files = sorted(pictures.iterdir())
    assert len(files) == 4  # one for each image of the test list
    assert all(cv2.imread(str(file)) is not None for file in files)


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_two_processes_report_the_figures_of_one(run_tool, tiny_config, trained, tmp_path):
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = str(server.getsockname()[1])
    one, two = tmp_path / 'one', tmp_path / 'two'
    checkpoint = trained / 'iter_2.pth'
    assert run_tool('test.py', tiny_config, checkpoint, '--work-dir', one).returncode == 0
    done = run_tool('dist_test.sh', tiny_config, checkpoint, 2, '--work-dir', two, PORT=port)
    assert done.returncode == 0, done.stdout[-4000:]
    assert (two / 'metrics.json').read_text() == (one / 'metrics.json').read_text()


def test_a_missing_checkpoint_is_answered_with_one_sentence(run_tool, tiny_config):
    done = run_tool('test.py', tiny_config, 'gone.pth')
    assert done.returncode == 1
    assert "no checkpoint 'gone.pth'" in done.stdout.splitlines()[-1]
    assert 'Traceback' not in done.stdout
