"""Visitors who break what they can, by HTTP: what they get, and what stays behind."""
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
from mmseg_instbox.web.app import UNEXPECTED  # noqa: E402
from mmseg_instbox.web.guard import NO_FILE  # noqa: E402
from mmseg_instbox.web.studio import GONE, NOT_A_PICTURE  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools' / 'benchmarks'))

from page_client import PageClient, Refused  # noqa: E402

# what tells of this machine; the folder of uploads alone is part of a visitor's own addresses
LEAKS = re.compile(r'Traceback|File "|site-packages|\.py\b|/root|/home|/work|/usr')


class Stumbling(ColourInferencer):
    """An inferencer that fails on a picture of a certain width, and dawdles when told to."""
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
    with running(Stumbling(), max_upload_mb=1, queue_size=3) as app:
        yield app


@pytest.fixture
def client(server):
    """A visitor; whatever the server tells it about this machine fails the test."""
    client = PageClient(server.local_url, timeout=30)
    yield client
    assert not [found.group() for text in client.seen[1:] if (found := LEAKS.search(text))]


@pytest.fixture(scope='module')
def png(scene_file):
    return scene_file.read_bytes()


def picture(width):
    import cv2
    import numpy as np
    return cv2.imencode('.png', np.zeros((20, width, 3), np.uint8))[1].tobytes()


def refusal(work, *arguments):
    with pytest.raises(Refused) as refused:
        work(*arguments)
    return refused.value.status, refused.value.words


def test_a_visitor_with_a_picture_gets_its_objects(client, png):
    assert [row['area'] for row in client.open(png, 'a.png')['instances']] == [1024, 896, 64]
    assert len(json.loads(client.save('coco'))['annotations']) == 3


@pytest.mark.parametrize(('content', 'words'), [
    (b'no picture', NOT_A_PICTURE), (b'<svg xmlns="http://www.w3.org/2000/svg"/>', NOT_A_PICTURE),
    (picture(Stumbling.WIDTH), UNEXPECTED)])
def test_what_goes_wrong_behind_the_page_is_a_sentence(client, content, words):
    assert refusal(client.open, content, 'a.png') == (200, words)


def test_a_picture_that_is_cut_off_is_named_without_its_place(client, png):
    status, words = refusal(client.open, png[:200], 'mine.png')
    assert status == 200 and words.startswith('mine.png: the image is broken')


def test_requests_that_no_page_makes(client, png):
    file, settings = client.upload(png, 'a.png'), client.defaults

    def change(*data):
        return refusal(client.call, 'instbox-picture', 'change', list(data))

    for broken in ('text', 5, [1], dict(file, orig_name=5)):
        assert change(broken, None, *settings) == (200, UNEXPECTED)
    assert change(file) == (200, UNEXPECTED)
    for path in ('/etc/passwd', str(Path(file['path']).parent), file['path'] + 'x',
                 'http://127.0.0.1:1/a.png'):
        assert change(dict(file, path=path), None, *settings) == (400, NO_FILE)
    for values in ([7, *settings[1:]], [settings[0], 'a', *settings[2:]]):
        assert refusal(client.call, 'instbox-score', 'input', [None, *values]) == (200, UNEXPECTED)
    for values in ([['x'], *settings[1:]], [*settings[:-1], 10**9]):
        status, words = refusal(client.call, 'instbox-score', 'input', [None, *values])
        assert status == 200 and words
    assert refusal(client.save, 'coco') == (200, GONE)
    client.open(png, 'a.png')  # the page still works


def test_files_of_the_machine_are_not_given_out(client, server):
    for path in ('/etc/passwd', os.getcwd() + '/README.md', '/etc', '../../../etc/passwd'):
        status, words = refusal(client.get, f'/gradio_api/file={path}')
        assert (status, words) == (404, NO_FILE)


def test_memory_and_disk_do_not_take_what_is_too_large(client, server):
    folder = Path(server.blocks[min(server.blocks)].GRADIO_CACHE)
    before = sorted(folder.rglob('*'))
    assert refusal(client.upload, bytes(2**20 + 10_000), 'a.png')[0] == 413
    assert refusal(client.upload, bytes(2**20 + 10), 'a.png')[0] == 413  # by Gradio itself
    event = dict(data=['a' * 10**6], fn_index=1, session_hash='a')
    body = json.dumps(event).encode()
    assert refusal(client.request, '/gradio_api/queue/join', body)[0] == 413
    assert sorted(folder.rglob('*')) == before


def test_a_full_queue_tells_visitors_to_come_back(server, png):
    clients = [PageClient(server.local_url, timeout=30) for _ in range(8)]
    words, views = [], []

    def visit(client):
        try:
            views.append(client.open(picture(Stumbling.WIDTH + 1), 'a.png'))
        except Refused as refused:
            words.append((refused.status, refused.words))

    threads = [threading.Thread(target=visit, args=(client, )) for client in clients]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    Stumbling.gate.set()
    for thread in threads:
        thread.join()
    assert len(views) + len(words) == 8 and 1 <= len(views) <= 5
    assert {status for status, _ in words} == {503}
    assert all('Queue is full' in text for _, text in words)
    PageClient(server.local_url).open(png, 'a.png')


def test_old_files_go_though_a_visitor_named_a_folder(server, client, png):
    """Gradio's cleaning ends for ever at a folder that a request named as its file."""
    from gradio.route_utils import delete_files_created_by_app
    file = client.upload(png, 'old.png')
    folder = str(Path(file['path']).parent)
    refusal(client.call, 'instbox-picture', 'change',
            [dict(file, path=folder), None, *client.defaults])
    delete_files_created_by_app(server, age=10_000)
    assert Path(file['path']).exists()
    time.sleep(0.01)
    delete_files_created_by_app(server, age=0)
    assert not Path(file['path']).exists()
