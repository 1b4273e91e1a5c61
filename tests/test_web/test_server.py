"""Serving the page: addresses, limits, its temporary files, the command."""
import http.client
import os
import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip('gradio', reason='the page needs the extra "demo"')

from mmseg_instbox import web  # noqa: E402
from mmseg_instbox.apis import InstBoxInferencer, load_model  # noqa: E402
from mmseg_instbox.cli.main import cli  # noqa: E402
from mmseg_instbox.engine import load_config  # noqa: E402
from mmseg_instbox.web import running  # noqa: E402
from mmseg_instbox.web.backend import PageBackend, Settings  # noqa: E402
from mmseg_instbox.web.view import LAYERS, MAX_OBJECTS  # noqa: E402


@pytest.fixture(autouse=True)
def signals_as_before():
    """The command changes what SIGTERM does in this process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def instbox(*arguments: str):
    return CliRunner().invoke(cli, ['serve', *arguments], prog_name='instbox')


def test_the_page_is_served_at_loopback_and_its_files_are_removed(inferencer, free_port):
    names = 'GRADIO_TEMP_DIR', 'GRADIO_ANALYTICS_ENABLED'
    before = [os.environ.get(name) for name in names]
    with running(inferencer, port=free_port) as app:
        assert app.local_url == f'http://127.0.0.1:{free_port}/'
        text = urllib.request.urlopen(app.local_url, timeout=10).read().decode()
        assert 'Instances from pixel boxes' in text
        folder = Path(app.blocks[min(app.blocks)].GRADIO_CACHE)
        assert folder.is_dir()
        with pytest.raises(OSError):  # one that listens everywhere would answer here, too
            socket.create_connection(('127.0.0.2', free_port), timeout=2)
    assert not folder.exists()
    assert [os.environ.get(name) for name in names] == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(('127.0.0.1', free_port), timeout=2)


def test_analytics_and_sharing_are_off(inferencer, free_port):
    with running(inferencer, port=free_port) as app:
        assert not app.analytics_enabled and not app.share and app.share_url is None
        assert not app.run_history and app.footer_links == []
        assert app.max_file_size == 40 * 2**20
        assert app._queue.ANALYTICS_MAX_EVENTS == 1 and app.state_session_capacity == 500


def test_a_port_that_is_taken_is_reported(inferencer, free_port):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', free_port))
        taken.listen()
        with pytest.raises(OSError, match=f'Port {free_port} of 127.0.0.1 cannot be used'):
            with running(inferencer, port=free_port):
                pass


@pytest.mark.parametrize(('options', 'accepted', 'refused'), [
    (dict(), '127.0.0.1', 'demo.example'),
    (dict(allowed_hosts=['demo.example', '*.lan']), 'demo.example', 'lan.example'),
    (dict(allowed_hosts=['demo.example', '*.lan']), 'cat.lan', 'www.example'),
    (dict(host='0.0.0.0', allowed_hosts=['*.lan']), 'cat.lan', 'demo.example')])
def test_requests_for_other_hosts_are_refused(inferencer, free_port, options, accepted, refused):
    with running(inferencer, port=free_port, samples=[], **options):
        for name, status in ((accepted, 200), (refused, 400)):
            connection = http.client.HTTPConnection('127.0.0.1', free_port, timeout=30)
            connection.request('GET', '/theme.css', headers={'Host': f'{name}:{free_port}'})
            assert connection.getresponse().status == status, name
            connection.close()


def test_a_server_for_everyone_accepts_all_host_names(inferencer, free_port):
    with running(inferencer, host='0.0.0.0', port=free_port, samples=[]):
        connection = http.client.HTTPConnection('127.0.0.1', free_port, timeout=30)
        connection.request('GET', '/theme.css', headers={'Host': 'demo.example'})
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize('name', ['*', 'demo.*', '*example'])
def test_wildcards_stand_for_subdomains_only(inferencer, name):
    with pytest.raises(ValueError, match='demo.example.org'):
        with running(inferencer, allowed_hosts=[name]):
            pass


def test_less_room_than_for_one_upload_is_refused(inferencer):
    with pytest.raises(ValueError, match='at least max_upload_mb'):
        with running(inferencer, max_upload_mb=3, max_stored_mb=2):
            pass


def test_no_stub_files_appear_in_the_package():
    assert not list(Path(web.__file__).parent.glob('*.pyi'))


def test_the_command_passes_its_options_on(monkeypatch):
    calls = []
    monkeypatch.setattr('mmseg_instbox.apis.InstBoxInferencer',
                        lambda *args, **kwargs: calls.append((args, kwargs)) or 'the inferencer')
    monkeypatch.setattr('mmseg_instbox.web.serve',
                        lambda *args, **kwargs: calls.append((args, kwargs)))
    result = instbox('--model', 'a.py', '--weights', 'b.pth', '--port', '8000', '--max-pixels',
                     '1000', '--max-upload-mb', '2', '--max-stored-mb', '9', '--queue-size', '3',
                     '--allowed-host', 'demo.example', '--allowed-host', '*.lan',
                     '--cfg-options', 'model.grouper.min_gain=0.2')
    assert result.exit_code == 0, result.output
    (args, kwargs), (served, options) = calls
    assert args[:2] == ('a.py', 'b.pth') and not kwargs['allow_pickle']
    assert kwargs['cfg_options'] == {'model.grouper.min_gain': 0.2}
    assert served == ('the inferencer', )
    assert options == dict(host='127.0.0.1', port=8000, max_pixels=1000, max_upload_mb=2.0,
                           max_stored_mb=9.0, queue_size=3,
                           allowed_hosts=('demo.example', '*.lan'))


def test_sigterm_ends_the_command_cleanly(monkeypatch):
    monkeypatch.setattr('mmseg_instbox.apis.InstBoxInferencer', lambda *args, **kwargs: None)
    handlers = []
    monkeypatch.setattr('mmseg_instbox.web.serve',
                        lambda *_, **__: handlers.append(signal.getsignal(signal.SIGTERM)))
    assert instbox().exit_code == 0
    with pytest.raises(KeyboardInterrupt):  # so that its temporary files go
        handlers[0](signal.SIGTERM, None)


def test_the_command_warns_where_others_reach_the_page(monkeypatch):
    monkeypatch.setattr('mmseg_instbox.apis.InstBoxInferencer', lambda *args, **kwargs: None)
    monkeypatch.setattr('mmseg_instbox.web.serve', lambda *args, **kwargs: None)
    assert 'Anyone' in instbox('--host', '0.0.0.0').output
    assert 'Anyone' not in instbox().output


def test_the_command_without_gradio_says_what_to_install(monkeypatch):
    monkeypatch.setattr('mmseg_instbox.cli.serve.find_spec', lambda name: None)
    result = instbox()
    assert result.exit_code == 1 and "pip install 'mmseg_instbox[demo]'" in result.output


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--port', '0'], '--port'), (['--max-pixels', '0'], '--max-pixels'),
    (['--max-upload-mb', '0'], '--max-upload-mb'), (['--queue-size', 'many'], '--queue-size')])
def test_wrong_options_end_with_code_2(arguments, words):
    result = instbox(*arguments)
    assert result.exit_code == 2 and words in result.output


def test_help_names_the_extra_and_an_example():
    output = instbox('--help').output
    assert 'mmseg_instbox[demo]' in output and 'instbox serve --model' in output


def test_a_real_network_behind_the_page(tiny_config, scene_file, tmp_path):
    network = load_model(load_config(str(tiny_config)), device='cpu')
    inferencer = InstBoxInferencer(network, show_progress=False)
    backend = PageBackend(inferencer)
    key = backend.open(scene_file, scene_file.name)
    view = backend.view(key, Settings(0, LAYERS, dict(min_gain=0.1)))
    sample = next(iter(inferencer.stream([scene_file], keep_boxes=True)))
    found = inferencer.regroup(sample, min_gain=0.1)
    assert len(view['instances']) == min(len(found.scores), MAX_OBJECTS)
    for each, score, mask in zip(view['instances'], found.scores, found.masks, strict=False):
        assert each['score'] == pytest.approx(float(score), abs=1e-3)
        assert each['area'] == int(mask.sum())
    assert backend.export(key, Settings(0), 'coco', tmp_path).is_file()
