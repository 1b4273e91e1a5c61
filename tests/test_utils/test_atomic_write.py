import json

import numpy as np
import pytest
import torch

from mmseg_instbox.utils import atomic_write, write_json


def test_numbers_of_numpy_and_torch_become_json(tmp_path):
    path = write_json({'mIoU': np.float64(0.5), 'n': np.int64(3), 'loss': torch.tensor(0.25)},
                      tmp_path / 'new' / 'metrics.json')
    assert json.loads(path.read_text()) == {'mIoU': 0.5, 'n': 3, 'loss': 0.25}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_json({'mIoU': 0.5}, tmp_path / 'metrics.json')

    def fail(*_) -> None:
        raise OSError('no space left on device')

    monkeypatch.setattr('os.replace', fail)
    with pytest.raises(OSError, match='no space'):
        write_json({'mIoU': 0.9}, path)
    assert json.loads(path.read_text()) == {'mIoU': 0.5}
    assert list(tmp_path.iterdir()) == [path]


def test_what_json_cannot_express_is_refused(tmp_path):
    with pytest.raises(TypeError, match='set cannot be written as JSON'):
        write_json({'names': {1, 2}}, tmp_path / 'metrics.json')
    assert not list(tmp_path.iterdir())


def test_bytes_are_written_for_all_to_read(tmp_path):
    path = atomic_write(b'\x00\xff', tmp_path / 'new' / 'folder' / 'picture.png')
    assert path.read_bytes() == b'\x00\xff'
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]
