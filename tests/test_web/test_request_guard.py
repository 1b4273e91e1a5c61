"""Requests that pass to Gradio and requests that are refused, without Gradio behind the guard."""
import asyncio
import os

import pytest

pytest.importorskip('gradio', reason='the page needs the extra "demo"')

from fastapi import FastAPI, Request  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from mmseg_instbox.web import request_guard as guard  # noqa: E402

MIB = 2**20
JOIN = f'{guard.API}/queue/join'


@pytest.fixture
def folder(tmp_path):
    """A folder of uploads with a file in it."""
    folder = tmp_path / 'uploads'
    (folder / 'abc').mkdir(parents=True)
    (folder / 'abc' / 'cat.png').write_bytes(b'image 1')
    return folder


@pytest.fixture
def bodies():
    """Bodies that passed the guard."""
    return []


@pytest.fixture
def client(folder, bodies):
    """A visitor of an app that accepts everything that passes the guard."""
    app = FastAPI(exception_handlers=guard.ERROR_RESPONSES,
                  middleware=[Middleware(guard.RequestGuard, folder, MIB, 2 * MIB)])

    @app.post(f'{guard.API}/cancel')
    async def cancel(body: dict[str, str]):
        raise RuntimeError('at /home/somebody/secret')

    @app.api_route('/{path:path}', methods=['GET', 'POST'])
    async def accept(request: Request):
        bodies.append(await request.body())
        return 'accepted'

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize('path', [
    '/', '/config', '/assets/index.js', '/static/fonts/a.woff2', '/gradio_api/queue/data',
    '/gradio_api/heartbeat/abc', '/favicon.ico', '/theme.css'])
def test_addresses_of_the_page_pass(client, path):
    assert client.get(path).json() == 'accepted'


@pytest.mark.parametrize(('path', 'body'), [
    ('/gradio_api/proxy=http://127.0.0.1/', None), ('/gradio_api/dev/reload', None),
    ('/gradio_api/openapi.json', None), ('/monitoring', None), ('/gradio_api/vibe-code', None),
    ('/configuration/../x', None), ('/gradio_api/component_server', b'{}'), ('/login', b''),
    ('/gradio_api/run/open_image', b'{}'), ('/gradio_api/call/update_view', b'{}'),
    ('/gradio_api/process_recording', b''), ('/', b'{}')])
def test_other_addresses_are_refused(client, bodies, path, body):
    answer = client.get(path) if body is None else client.post(path, content=body)
    assert (answer.status_code, answer.text, bodies) == (404, guard.NOT_FOUND, [])


def test_only_files_of_the_folder_are_served(client, folder):
    assert client.get(f'/gradio_api/file={folder}/abc/cat.png').json() == 'accepted'
    for path in ('/etc/passwd', f'{folder}x/cat.png', 'http://127.0.0.1/', 'abc/cat.png'):
        assert client.get(f'/gradio_api/file={path}').status_code == 404


def in_parts(body):
    """A body that is sent without its length."""
    yield from (body[start:start + 1000] for start in range(0, len(body), 1000))


def test_requests_other_than_uploads_are_limited_to_256_kb(client, bodies):
    largest = bytes(guard.MAX_REQUEST)
    for content in (largest, in_parts(largest)):
        assert client.post(JOIN, content=content).status_code == 200
    for content in (largest + b' ', in_parts(largest + b' ')):
        assert client.post(JOIN, content=content).status_code == 413
    assert bodies == [largest] * 2


def test_uploads_are_limited(client, bodies):
    assert client.post(guard.UPLOAD, content=bytes(MIB)).status_code == 200
    refused = client.post(guard.UPLOAD, content=bytes(2 * MIB))
    assert refused.status_code == 413
    assert refused.text.startswith('This is too large: 2,097,152 bytes')
    assert client.post(guard.UPLOAD, content=in_parts(bytes(2 * MIB))).status_code == 413
    assert len(bodies) == 1


def test_a_refused_body_is_read_up_to_a_limit():
    """Clients read the answer once they have sent the body; endless ones are cut off."""
    for parts, limit, expected in ((3, 10_000, 3), (10**6, 10_000, 10)):
        sent = []

        async def receive(sent=sent, parts=parts):
            sent.append(1)
            return dict(type='http.request', body=bytes(1000), more_body=len(sent) < parts)

        asyncio.run(guard.discard_body(receive, limit))
        assert len(sent) == expected


@pytest.mark.parametrize('length', [True, False])
def test_the_oldest_files_make_room_for_an_upload(client, folder, length):
    stored = folder / 'abc' / 'cat.png'
    body = bytes(1000)
    stored.write_bytes(bytes(MIB))
    client.post(guard.UPLOAD, content=body if length else in_parts(body))
    assert stored.exists() is length  # without a length, the largest possible file is expected
    stored.parent.mkdir(exist_ok=True)
    stored.write_bytes(bytes(2 * MIB - 999))
    client.post(guard.UPLOAD, content=body)
    assert not stored.exists()


@pytest.mark.parametrize('body', [b'', b'{', b'[]', b'5', b'\xff\xfe', b'[' * 100_000])
def test_unreadable_json_is_refused_with_a_message(client, body):
    answer = client.post(f'{guard.API}/cancel', content=body)
    assert answer.status_code == 400
    assert answer.text in (guard.UNREADABLE, '{"detail":"There was an error parsing the body"}')


def test_an_unexpected_error_shows_no_details(client):
    answer = client.post(f'{guard.API}/cancel', json={'a': 'b'})
    assert (answer.status_code, answer.text) == (500, guard.UNEXPECTED)


def put(folder, name, size, age):
    """A file of ``size`` bytes that is ``age`` seconds old."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    os.utime(file, (1e9 - age, 1e9 - age))
    return file


def test_remove_oldest_keeps_the_newest_files_that_fit(tmp_path):
    files = [put(tmp_path, f'{age}/a.png', 100, age) for age in (40, 30, 20, 10)]
    for limit, kept in ((400, [1, 1, 1, 1]), (399, [0, 1, 1, 1]), (110, [0, 0, 0, 1])):
        guard.remove_oldest(tmp_path, limit)
        assert [file.exists() for file in files] == kept
    assert [each.name for each in tmp_path.iterdir()] == ['10']  # no empty folders


def test_remove_oldest_keeps_samples_and_folders_with_other_files(tmp_path):
    sample = put(tmp_path, f'{guard.SAMPLES}1/cat.jpg', 1000, 99)
    upload = put(tmp_path, 'samples/cat.jpg', 50, 30)  # a name that only resembles theirs
    old, new = put(tmp_path, 'a/old.png', 10, 20), put(tmp_path, 'a/new.png', 10, 10)
    guard.remove_oldest(tmp_path, 10)
    assert [file.exists() for file in (sample, upload, old, new)] == [True, False, False, True]
    guard.remove_oldest(tmp_path / 'none', 0)
