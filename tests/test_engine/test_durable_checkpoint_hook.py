"""A run always has a checkpoint that can be read, whenever it is stopped."""
import errno
import os

import pytest
from recorded_runs import load

from mmseg_instbox.engine import DurableBackend, last_checkpoint

LINES = """
model = dict(backbone=dict(frozen_stages=4))
train_cfg = dict(max_iters=6, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2, max_keep_ckpts=1, save_best='mIoU'))
randomness = dict(seed=0)
"""


@pytest.fixture(scope='module')
def config(make_config):
    return make_config(LINES)


def names(folder):
    return sorted(file.name for file in folder.iterdir() if '.pth' in file.name)


def test_old_checkpoints_go_when_the_new_one_is_there(config, train, tmp_path, monkeypatch):
    seen, put = [], DurableBackend.put

    def watched(self, obj, filepath):
        seen.append(names(tmp_path))
        put(self, obj, filepath)

    monkeypatch.setattr(DurableBackend, 'put', watched)
    (tmp_path / '.iter_2.pth.abcd').write_bytes(b'left by a run that was killed')
    train(config, tmp_path)
    assert seen[0] == []
    assert all(any(name.startswith('iter_') for name in before) for before in seen[1:])
    left = names(tmp_path)
    assert [name for name in left if name.startswith('iter_')] == ['iter_6.pth']
    assert len([name for name in left if name.startswith('best_mIoU')]) == 1 and len(left) == 2
    assert load(last_checkpoint(tmp_path))['meta']['iter'] == 6


@pytest.mark.parametrize('when', [2, 3, 4])
def test_a_full_disk_ends_the_run_with_a_sentence(config, train, tmp_path, monkeypatch, when):
    calls, sync = [], os.fsync

    def full(handle):
        calls.append(handle)
        if len(calls) >= 2 * when:  # a file and its folder each time
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match='could not be written, and what was there before'):
        train(config, tmp_path)
    monkeypatch.undo()
    assert not [name for name in names(tmp_path) if not name.endswith('.pth')]
    checkpoint = last_checkpoint(tmp_path)
    reached = load(checkpoint)['meta']['iter']
    assert reached in (2, 4)
    train(config, tmp_path, resume=checkpoint)
    assert load(last_checkpoint(tmp_path))['meta']['iter'] == 6
