"""Malicious requests by HTTP: the answers, and what remains on the server."""
import http.client
import json
import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest
from colour_inferencer import ColourInferencer

gradio = pytest.importorskip('gradio', reason='the page needs the extra "demo"')

from mmseg_instbox.web import running  # noqa: E402
from mmseg_instbox.web.app import FILE_GONE  # noqa: E402
from mmseg_instbox.web.backend import IMAGE_GONE  # noqa: E402
from mmseg_instbox.web.request_guard import NOT_FOUND, UNEXPECTED  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'fuzz'))

from page_client import PageClient, Refused  # noqa: E402

# what reveals something of this machine; only the folder of uploads is part of URLs of the page
LEAKS = re.compile(r'Traceback|File "|site-packages|\.py\b|/root|/home|/work|/usr')


NOT_AN_IMAGE = ('a.png: not an image that can be read (unknown format). Use JPEG, PNG, WebP, TIFF '
                'or BMP; HEIC needs pip install pillow-heif.')


class FailingInferencer(ColourInferencer):
    """An inferencer that fails on images of ``WIDTH`` and waits for ``gate`` on wider ones."""
    WIDTH = 77
    gate = threading.Event()

    def _predict(self, image):
        if image.shape[1] == self.WIDTH:
            raise RuntimeError('cannot work at /home/somebody/model.py')
        if image.shape[1] == self.WIDTH + 1:
            self.gate.wait(20)
        return super()._predict(image)


@pytest.fixture(scope='module')
def server():
    with running(FailingInferencer(), max_upload_mb=1, queue_size=3, score_thr=0.2) as app:
        yield app


@pytest.fixture
def client(server):
    """A visitor; an answer that reveals something about this machine fails the test."""
    client = PageClient(server.local_url, timeout=30)
    yield client
    assert not [found.group() for text in client.seen[1:] if (found := LEAKS.search(text))]


@pytest.fixture(scope='module')
def png(scene_file):
    return scene_file.read_bytes()


def image(width):
    import cv2
    import numpy as np
    return cv2.imencode('.png', np.zeros((20, width, 3), np.uint8))[1].tobytes()


def refusal(work, *arguments):
    with pytest.raises(Refused) as refused:
        work(*arguments)
    return refused.value.status, refused.value.words


def test_an_uploaded_image_is_answered_with_its_objects(client, png):
    assert [row['area'] for row in client.open(png, 'a.png')['instances']] == [1024, 896, 64]
    assert len(json.loads(client.save('coco'))['annotations']) == 3


@pytest.mark.parametrize(('content', 'words'), [
    (b'not an image', NOT_AN_IMAGE), (b'<svg xmlns="http://www.w3.org/2000/svg"/>', NOT_AN_IMAGE),
    (image(FailingInferencer.WIDTH), UNEXPECTED)])
def test_errors_behind_the_page_end_in_a_message(client, content, words):
    assert refusal(client.open, content, 'a.png') == (200, words)


def test_a_truncated_image_is_named_without_its_path(client, png):
    status, words = refusal(client.open, png[:200], 'mine.png')
    assert status == 200 and words.startswith('mine.png: the image is broken')


def test_malformed_events(client, png):
    file, settings = client.upload(png, 'a.png'), client.defaults

    def change(*data):
        return refusal(client.call, 'instbox-image', 'change', list(data))

    for broken in ('text', 5, [1], dict(file, orig_name=5)):
        assert change(broken, None, *settings) == (200, UNEXPECTED)
    assert change(file) == (200, UNEXPECTED)
    for path in ('/etc/passwd', str(Path(file['path']).parent), file['path'] + 'x',
                 str(Path(file['path']).parents[1]), 'http://127.0.0.1:1/a.png', ''):
        for hidden in (dict(file, path=path), [[dict(a=dict(file, path=path))]],
                       dict(path=file['path'], a=dict(file, path=path))):
            assert change(hidden, None, *settings) == (200, FILE_GONE), path
    for path in ('a\0b', 'a' * 9000, 5, ['/x']):
        status, words = change(dict(file, path=path), None, *settings)
        assert status == 200 and words in (FILE_GONE, UNEXPECTED)
    assert refusal(client.call, 'instbox-score', 'input',
                   [None, settings[0], dict(file, path='/etc/passwd'), *settings[2:]]
                   ) == (200, FILE_GONE)
    for values in ([7, *settings[1:]], [settings[0], 'a', *settings[2:]]):
        assert refusal(client.call, 'instbox-score', 'input', [None, *values]) == (200, UNEXPECTED)
    for values in ([['x'], *settings[1:]], [*settings[:-1], 10**9]):
        status, words = refusal(client.call, 'instbox-score', 'input', [None, *values])
        assert status == 200 and words
    assert refusal(client.save, 'coco') == (200, IMAGE_GONE)
    client.open(png, 'a.png')  # the page still works


@pytest.mark.parametrize('body', [b'', b'{', b'[]', b'{"data": 5}', b'[' * 100_000])
def test_unreadable_requests_end_in_a_message(client, body):
    status, words = refusal(client.request, '/gradio_api/queue/join', body)
    assert status in (400, 422) and words


def test_an_unexpected_error_of_gradio_shows_no_details(client, server, monkeypatch):
    monkeypatch.delattr(server, 'config')
    assert refusal(client.get, '/config') == (500, UNEXPECTED)


def test_a_link_out_of_the_folder_is_not_followed(client, png, tmp_path):
    file = client.upload(png, 'a.png')
    (tmp_path / 'secret.png').write_bytes(png)
    link = Path(file['path']).with_name('link.png')
    link.symlink_to(tmp_path / 'secret.png')
    assert refusal(client.call, 'instbox-image', 'change',
                   [dict(file, path=str(link)), None, *client.defaults]) == (200, FILE_GONE)


def test_requests_for_another_host_are_refused(server):
    """As a web site sends them whose name resolves to 127.0.0.1."""
    address = server.local_url.removeprefix('http://').rstrip('/')
    for host, status in ((address, 200), ('localhost', 200), ('[::1]:80', 200),
                         ('evil.example', 400), ('evil.example:7860', 400), ('', 400)):
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request('GET', '/theme.css', headers={'Host': host})
        assert connection.getresponse().status == status, host
        connection.close()


def test_files_of_the_machine_are_not_served(client, png):
    for path in ('/etc/passwd', os.getcwd() + '/README.md', '/etc', '../../../etc/passwd',
                 'http://127.0.0.1:1/a.png', 'https://example.org/a.png'):
        assert refusal(client.get, f'/gradio_api/file={path}') == (404, NOT_FOUND)
    folder = Path(client.upload(png, 'a.png')['path']).parents[1]
    for path in (folder, folder / '..' / '..' / 'etc' / 'passwd', folder / 'none.png'):
        assert refusal(client.get, f'/gradio_api/file={path}')[0] in (403, 404)


def test_what_is_too_large_is_neither_read_nor_stored(client, server):
    folder = Path(server.blocks[min(server.blocks)].GRADIO_CACHE)
    before = sorted(folder.rglob('*'))
    assert refusal(client.upload, bytes(2**20 + 10_000), 'a.png')[0] == 413
    assert refusal(client.upload, bytes(2**20 + 10), 'a.png')[0] == 413  # by Gradio itself
    status, words = refusal(client.upload, bytes(3 * 2**20), 'a.png')
    assert status == 413 and words.startswith('This is too large: 3,145,')  # not a broken pipe
    event = dict(data=['a' * 10**6], fn_index=1, session_hash='a')
    body = json.dumps(event).encode()
    assert refusal(client.request, '/gradio_api/queue/join', body)[0] == 413
    assert sorted(folder.rglob('*')) == before


def test_requests_beyond_the_queue_are_refused(server, png):
    clients = [PageClient(server.local_url, timeout=30) for _ in range(8)]
    words, views = [], []

    def visit(client):
        try:
            views.append(client.open(image(FailingInferencer.WIDTH + 1), 'a.png'))
        except Refused as refused:
            words.append((refused.status, refused.words))

    threads = [threading.Thread(target=visit, args=(client, )) for client in clients]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    FailingInferencer.gate.set()
    for thread in threads:
        thread.join()
    assert len(views) + len(words) == 8 and 1 <= len(views) <= 5
    assert {status for status, _ in words} == {503}
    assert all('Queue is full' in text for _, text in words)
    PageClient(server.local_url).open(png, 'a.png')


def test_old_files_are_deleted_after_a_request_for_a_folder(server, client, png):
    """Gradio stops deleting old files once a request has named a folder as its file."""
    from gradio.route_utils import delete_files_created_by_app
    file = client.upload(png, 'old.png')
    folder = str(Path(file['path']).parent)
    refusal(client.call, 'instbox-image', 'change',
            [dict(file, path=folder), None, *client.defaults])
    delete_files_created_by_app(server, age=10_000)
    assert Path(file['path']).exists()
    time.sleep(0.01)
    delete_files_created_by_app(server, age=0)
    assert not Path(file['path']).exists()
