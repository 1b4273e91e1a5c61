import io
import pickle
import threading
import zipfile
from collections import OrderedDict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmseg_instbox.engine.checkpoints import local_checkpoint, read_checkpoint
from mmseg_instbox.engine.start_weights import check_weights

WEIGHTS = OrderedDict(weight=torch.arange(6.).reshape(2, 3), steps=torch.tensor(4))


class Payload:
    """Pickles to the order to create a file: what somebody could put into a checkpoint."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), 'w')


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A checkpoint of weights and plain data."""
    file = tmp_path / 'iter_2.pth'
    torch.save(dict(state_dict=WEIGHTS, meta=dict(classes=('a', 'b'), iter=2)), file)
    return file


def assert_is_read(read: dict) -> None:
    assert read['meta'] == dict(classes=('a', 'b'), iter=2)
    assert all(torch.equal(read['state_dict'][key], value) for key, value in WEIGHTS.items())


def test_weights_and_plain_data_are_read(checkpoint):
    assert_is_read(read_checkpoint(checkpoint))
    assert_is_read(read_checkpoint(str(checkpoint)))
    assert_is_read(read_checkpoint(checkpoint, allow_pickle=True))


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'pickle'])
def test_code_in_a_checkpoint_is_not_run(tmp_path, kind):
    file, made = tmp_path / 'model.pth', tmp_path / 'made'
    content = dict(state_dict=WEIGHTS, meta=dict(payload=Payload(made)))
    if kind == 'pickle':
        file.write_bytes(pickle.dumps(content['meta']))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=kind == 'zip')
    with pytest.raises(ValueError, match=r'model\.pth holds more than weights.*--allow-pickle'):
        read_checkpoint(file)
    assert not made.exists()
    with pytest.raises(ValueError, match='more than weights'):
        check_weights(Config(dict(load_from=str(file), resume=False)))
    assert not made.exists()
    if kind != 'pickle':  # the payload is real
        read_checkpoint(file, allow_pickle=True)
        assert made.exists()


def test_a_checkpoint_with_harmless_objects_needs_the_flag_too(tmp_path):
    file = tmp_path / 'old.pth'
    torch.save(dict(message_hub=dict(loss=HistoryBuffer([1.], [1]))), file)
    with pytest.raises(ValueError, match=r'mmengine\.logging\.history_buffer\.HistoryBuffer'):
        read_checkpoint(file)
    assert read_checkpoint(file, allow_pickle=True)['message_hub']['loss'].mean() == 1


def broken_files(checkpoint: Path) -> dict[str, bytes]:
    whole = checkpoint.read_bytes()
    legacy, archive, script = (io.BytesIO() for _ in range(3))
    torch.save(WEIGHTS, legacy, _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(archive, 'w') as zipped:
        zipped.writestr('notes.txt', 'no checkpoint')
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), script)
    return dict(empty=b'', half=whole[:len(whole) // 2], almost=whole[:-30],
                legacy=legacy.getvalue()[:-20], archive=archive.getvalue(),
                text=b'not a checkpoint', picture=b'\xff\xd8\xff\xe0 and so on',
                script=script.getvalue())


@pytest.mark.parametrize('name', ['empty', 'half', 'almost', 'legacy', 'archive', 'text', 'picture',
                                  'script'])
@pytest.mark.parametrize('allow_pickle', [False, True])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_broken_file_is_answered_with_one_sentence(checkpoint, tmp_path, name, allow_pickle):
    file = tmp_path / f'{name}.pth'
    file.write_bytes(broken_files(checkpoint)[name])
    with pytest.raises(ValueError, match=rf'{name}\.pth (cannot be read as a|is no|holds a Rec)'):
        read_checkpoint(file, allow_pickle)


def test_something_else_than_a_dictionary_is_refused(tmp_path):
    for content in ([1], dict(state_dict=[1]), dict(meta=[1], state_dict={}), None,
                    dict(state_dict=None)):
        torch.save(content, tmp_path / 'list.pth')
        with pytest.raises(ValueError, match=r'list\.pth holds a (list|NoneType)'):
            read_checkpoint(tmp_path / 'list.pth')


def test_a_missing_file_is_named_with_what_lies_near(checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint '.*iter_3\.pth'.*iter_2\.pth"):
        read_checkpoint(checkpoint.with_name('iter_3.pth'))
    with pytest.raises(ValueError, match=r'is a folder; .*iter_2\.pth'):
        read_checkpoint(tmp_path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a server of ``tmp_path``, with an empty download cache."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))

    class Quiet(SimpleHTTPRequestHandler):

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=tmp_path)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()


def test_an_address_is_downloaded_once(checkpoint, server, tmp_path):
    address = f'{server}/iter_2.pth?version=1'
    assert_is_read(read_checkpoint(address))
    checkpoint.unlink()
    assert_is_read(read_checkpoint(address))
    cfg = Config(dict(load_from=address, resume=False))
    check_weights(cfg)
    assert cfg.load_from == str(local_checkpoint(address))  # the run loads what was checked
    with pytest.raises(ValueError, match=r'version=2 cannot be downloaded \(.*404'):
        read_checkpoint(f'{server}/iter_2.pth?version=2')
    assert len(list((tmp_path / 'cache').rglob('*.pth'))) == 1


def test_a_download_that_is_cut_off_leaves_nothing(server, tmp_path, monkeypatch):
    (tmp_path / 'model.pth').write_bytes(bytes(1000))
    copyfile = SimpleHTTPRequestHandler.copyfile

    def cut(handler, source, target):
        copyfile(handler, io.BytesIO(source.read(500)), target)

    monkeypatch.setattr(SimpleHTTPRequestHandler, 'copyfile', cut)
    with pytest.raises(ValueError, match=r'cannot be downloaded \(IncompleteRead\(500 bytes'):
        local_checkpoint(f'{server}/model.pth')
    monkeypatch.undo()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    assert not [each for each in (tmp_path / 'cache').rglob('*') if each.is_file()]
    assert local_checkpoint(f'{server}/model.pth').stat().st_size == 1000


def test_code_behind_an_address_is_not_run(server, tmp_path):
    torch.save(dict(payload=Payload(tmp_path / 'made')), tmp_path / 'model.pth')
    with pytest.raises(ValueError, match='holds more than weights'):
        read_checkpoint(f'{server}/model.pth')
    assert not (tmp_path / 'made').exists()


def test_other_addresses_are_refused():
    with pytest.raises(ValueError, match='s3://bucket/model.pth is no http'):
        read_checkpoint('s3://bucket/model.pth')


def test_a_run_that_loads_nothing_or_plain_weights_passes(checkpoint):
    check_weights(Config(dict(load_from=None, resume=False)))
    check_weights(Config(dict(load_from=str(checkpoint), resume=False)))
    with pytest.raises(FileNotFoundError):
        check_weights(Config(dict(load_from='gone.pth')))


def test_resuming_needs_the_state_of_a_training(checkpoint):
    with pytest.raises(ValueError, match='no state of a training run'):
        check_weights(Config(dict(load_from=str(checkpoint), resume=True)))
