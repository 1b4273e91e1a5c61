import json

import cv2
from programs import settings_apart

KEYS = ['mIoU', 'APr_0.5', 'APr_0.6', 'APr_0.7', 'APr_0.8', 'APr_0.9', 'APr_vol', 'AP', 'AP50',
        'AP75', 'AP_s', 'AP_m', 'AP_l', 'PQ', 'SQ', 'RQ', 'PQ_things', 'PQ_stuff',
        'seconds_total']


def test_quickstart_ends_with_checkpoint_figures_and_pictures(run_main, tmp_path):
    data, work = tmp_path / 'shapes', tmp_path / 'work'
    arguments = ('--data-root', data, '--work-dir', work, '--num-train', 16, '--num-val', 4,
                 '--num-fresh', 2, '--cfg-options', 'train_cfg.max_iters=2',
                 *settings_apart(tmp_path))
    printed = run_main('quickstart.py', *arguments)

    metrics = json.loads((work / 'metrics.json').read_text())
    assert list(metrics) == KEYS
    assert all(0 <= metrics[key] <= 1 for key in KEYS[:-1]) and metrics['seconds_total'] > 0
    pictures = sorted((work / 'pictures').glob('*_instances.png'))
    assert len(pictures) == 2
    assert all(cv2.imread(str(picture)) is not None for picture in pictures)

    checkpoint, figures, folder = printed.splitlines()[-3:]
    assert checkpoint == f'checkpoint: {work / "iter_2.pth"}' and (work / 'iter_2.pth').is_file()
    assert figures == f'figures:    {work / "metrics.json"}'
    assert folder == f'pictures:   {work / "pictures"}'


def test_data_that_is_complete_is_used_again(load_tool, tmp_path, monkeypatch, capsys):
    quickstart = load_tool('quickstart.py')
    calls = []
    monkeypatch.setattr(quickstart.subprocess, 'run', lambda command, check: calls.append(command))
    lists = tmp_path / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a\nb\n')
    quickstart.make_data(tmp_path, 2, 1)  # the list of the evaluation images is missing
    assert len(calls) == 1
    (lists / 'val.txt').write_text('c\n')
    quickstart.make_data(tmp_path, 2, 1)
    assert len(calls) == 1 and 'is used again' in capsys.readouterr().out
    quickstart.make_data(tmp_path, 3, 1)  # more images are wanted than there are
    assert len(calls) == 2
