import json

import pytest
import torch
from mmseg.registry import TASK_UTILS
from programs import Program, ranks

from mmseg_instbox.core.groupers import configured_grouper
from mmseg_instbox.engine import load_config, testing
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.replay import Regroup, replay

KEYS = ['mIoU', 'APr_0.5', 'APr_0.6', 'APr_0.7', 'APr_0.8', 'APr_0.9', 'APr_vol']


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_two_processes_report_and_dump_what_one_does(instbox, repo, tiny_config, trained, tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    checkpoint, images = trained / 'iter_2.pth', 3  # of which two processes see one twice
    option = f'test_dataloader.dataset.indices={images}'
    done = instbox('test', tiny_config, checkpoint, '--work-dir', one, '--out', one / 'dump',
                   options=(option, ))
    assert done.exit_code == 0, done.output[-4000:]
    programs = [
        Program(repo / 'tools' / 'test.py', tmp_path / f'{rank}.txt', tiny_config, checkpoint,
                '--launcher', 'pytorch', '--work-dir', two, '--out', two / 'dump', '--cfg-options',
                option, **place) for rank, place in enumerate(ranks(2))]
    for program in programs:
        program.succeeds()
    assert (two / 'metrics.json').read_text() == (one / 'metrics.json').read_text()
    assert list(json.loads((one / 'metrics.json').read_text())) == KEYS  # a dump adds no figures
    cfg = load_config(str(tiny_config), {'test_dataloader.dataset.indices': images})
    dumped, same = (DumpedSamples.from_config(cfg, part / 'dump') for part in (one, two))
    assert len(dumped) == images and dumped.dump.meta['checkpoint'] == str(checkpoint)
    for index in range(images):
        for key in ('pred_probs', 'pred_boxes'):
            assert torch.equal(dumped[index][key]['data'], same[index][key]['data'])
    check_figures(dumped, cfg, json.loads((one / 'metrics.json').read_text()))


def check_figures(dumped, cfg, metrics, iou_error=1e-3):
    """The dump gives the figures of the run; one flip of this untrained network moves AP^r."""
    regroup = Regroup(TASK_UTILS.build(configured_grouper(cfg)), dumped.thing_ids)
    figures = replay(dumped, [regroup])[0]
    assert figures['mIoU'] == pytest.approx(metrics['mIoU'], abs=iou_error)
    assert figures == pytest.approx(metrics, abs=0.02)


def test_a_file_in_place_of_the_dump_is_refused(instbox, tiny_config, trained, tmp_path):
    (tmp_path / 'file').touch()
    done = instbox('test', tiny_config, trained / 'iter_2.pth', '--work-dir', tmp_path / 'work',
                   '--out', tmp_path / 'file')
    assert done.exit_code == 1
    assert 'file is a file: give a directory for the dump' in done.output.splitlines()[-1]


def test_a_missing_checkpoint_is_answered_with_one_sentence(instbox, tiny_config):
    done = instbox('test', tiny_config, 'gone.pth')
    assert done.exit_code == 1
    assert "no checkpoint 'gone.pth'" in done.output.splitlines()[-1]
    assert 'Traceback' not in done.output


def test_augmentation_reports_dumps_and_draws_like_a_plain_test(instbox, tiny_config, trained,
                                                                tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr(testing, 'print_log', lambda message, *_: printed.append(message))
    done = instbox('test', tiny_config, trained / 'iter_2.pth', '--work-dir', tmp_path, '--tta',
                   '--out', tmp_path / 'dump', '--show-dir', tmp_path / 'pictures')
    assert done.exit_code == 0, done.output[-4000:]
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert list(metrics) == KEYS and 'mirror image are taken' in printed[0]
    assert len(list((tmp_path / 'pictures').iterdir())) == 4
    cfg = load_config(str(tiny_config))
    dumped = DumpedSamples.from_config(cfg, tmp_path / 'dump')
    assert dumped[0]['pred_boxes']['data'].shape == (4, 8, 8)  # 64 pixels at stride 8
    # categories of views are averaged at image resolution, those of the dump on the grid
    check_figures(dumped, cfg, metrics, iou_error=1e-2)
