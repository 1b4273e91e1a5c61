import json
import math
import shutil
from pathlib import Path

import pytest
import torch

MAX_LINES = 40  # on the terminal before the first iteration
ALARMS = ('OneDL', 'CUDA', 'Warning', 'deprecat')


def log_lines(work_dir: Path) -> list[dict]:
    """The training losses that the newest run in ``work_dir`` logged."""
    newest = max(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    return [line for line in lines if 'loss' in line]


def iteration(checkpoint: Path) -> int:
    """The iteration at which a checkpoint was written."""
    return torch.load(checkpoint, map_location='cpu', weights_only=False)['meta']['iter']


@pytest.mark.parametrize('how', ['auto', 'path'])
def test_resume_goes_on_at_the_iteration_it_stopped(instbox, tiny_config, trained, tmp_path, how):
    work_dir = tmp_path / 'work'
    if how == 'auto':
        shutil.copytree(trained, work_dir, ignore=shutil.ignore_patterns('20*'))  # but for its logs
        (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_2.pth'))
    resume = ['--resume'] if how == 'auto' else ['--resume', trained / 'iter_2.pth']
    done = instbox('train', tiny_config, '--work-dir', work_dir, *resume,
                   options=('train_cfg.max_iters=3', ))
    assert done.exit_code == 0, done.output[-4000:]
    assert [line['iter'] for line in log_lines(work_dir)] == [3]
    assert iteration(work_dir / 'iter_3.pth') == 3
    assert torch.cuda.is_available() or 'No GPU here: this runs on the CPU.' in done.output


def test_amp_trains_in_mixed_precision(instbox, tiny_config, tmp_path):
    done = instbox('train', tiny_config, '--work-dir', tmp_path, '--amp',
                   options=('randomness.seed=0', ))
    assert done.exit_code == 0, done.output[-4000:]
    assert 'AmpOptimWrapper' in (tmp_path / 'tiny.py').read_text()
    assert all(math.isfinite(line['loss']) for line in log_lines(tmp_path))
    state = torch.load(tmp_path / 'iter_2.pth', map_location='cpu', weights_only=False)
    assert {tensor.dtype for tensor in state['state_dict'].values()
            if tensor.is_floating_point()} == {torch.float32}


def test_the_terminal_stays_short_and_the_log_has_all(run_tool, tiny_config, tmp_path):
    done = run_tool('train.py', tiny_config, '--work-dir', tmp_path, '--resume', '--cfg-options',
                    'train_cfg.max_iters=1', 'train_dataloader.persistent_workers=True')
    assert done.returncode == 0, done.stdout[-4000:]
    lines = done.stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if 'Iter(train)' in line)
    assert first <= MAX_LINES, '\n'.join(lines[:first])
    assert not [line for line in lines if any(word in line for word in ALARMS)]
    log, = tmp_path.glob('*/*.log')
    assert any(str(log) in line for line in lines)
    assert 'System environment' in log.read_text() and 'train_pipeline' not in done.stdout
