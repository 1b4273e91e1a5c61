import errno
import os

import pytest
from mmengine.fileio import get_file_backend

from mmseg_instbox.engine import DurableBackend


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


def test_what_the_disk_gives_back_is_compared(tmp_path, monkeypatch):
    file = tmp_path / 'iter_2.pth'
    DurableBackend().put(b'old', file)
    monkeypatch.setattr('pathlib.Path.read_bytes', lambda self: b'nex')
    with pytest.raises(OSError, match='something else than was written'):
        DurableBackend().put(b'new', file)
    monkeypatch.undo()
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
