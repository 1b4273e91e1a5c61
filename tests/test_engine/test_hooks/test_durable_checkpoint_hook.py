"""A run always has a checkpoint that can be read, whenever it is stopped."""
import errno
import os

import pytest
from mmengine.fileio import get_file_backend
from recorded_runs import load

from mmseg_instbox.engine import last_checkpoint
from mmseg_instbox.engine.hooks import DurableBackend

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


def test_a_config_reaches_it():
    assert isinstance(get_file_backend('x', backend_args=dict(backend='durable')), DurableBackend)


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    backend, file = DurableBackend(), tmp_path / 'iter_2.pth'
    backend.put(b'old', file)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match=r'No space left.*untouched.*iter_2\.pth') as caught:
        backend.put(b'new', file)
    assert caught.value.errno == errno.ENOSPC
    assert file.read_bytes() == b'old' and os.listdir(tmp_path) == ['iter_2.pth']


def test_files_are_removed_late_and_never_the_current_ones(tmp_path):
    backend = DurableBackend()
    files = [tmp_path / name for name in 'abc']
    for file in files:
        backend.put(b'x', file)
    for file in files[:2]:
        backend.remove(str(file))
    assert all(file.is_file() for file in files)
    backend.remove_outdated([None, str(files[1])])
    assert [file.is_file() for file in files] == [False, True, True]
    backend.remove_outdated([])
    assert files[1].is_file()
