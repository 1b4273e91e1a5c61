"""What the server lets through, by ASGI and without Gradio behind it."""
import asyncio
import json

import pytest

pytest.importorskip('gradio', reason='the page needs the extra "demo"')

from mmseg_instbox.web import guard  # noqa: E402

MIB = 2**20


class Behind:
    """An application that keeps what reaches it and says yes, or fails."""

    def __init__(self, error=None):
        self.bodies, self.error = [], error

    async def __call__(self, scope, receive, send):
        body = b''.join([chunk async for chunk in guard.chunks(receive)])
        self.bodies.append(body)
        if self.error:
            raise self.error
        await send(dict(type='http.response.start', status=200, headers=[]))
        await send(dict(type='http.response.body', body=b'yes'))


@pytest.fixture
def folder(tmp_path):
    """A folder of uploads with a picture in it, beside a file that is none of the page's."""
    folder = tmp_path / 'uploads'
    (folder / 'abc').mkdir(parents=True)
    (folder / 'abc' / 'cat.png').write_bytes(b'picture')
    (tmp_path / 'secret.txt').write_text('secret')
    return folder


def ask(app, path, body=None, length=True, parts=1):
    """Status and words of the answer to a request, and how much of its body was read."""
    size = -(-len(body or b'') // parts)
    waiting = [dict(type='http.request', body=(body or b'')[start * size:(start + 1) * size],
                    more_body=start < parts - 1) for start in range(parts)]
    answer, count = [], len(waiting)
    headers = [(b'content-length', str(len(body)).encode())] if body is not None and length else []
    scope = dict(type='http', method='GET' if body is None else 'POST', path=path, headers=headers)

    async def receive():
        return waiting.pop(0) if waiting else dict(type='http.disconnect')

    async def send(message):
        answer.append(message)

    asyncio.run(app(scope, receive, send))
    text = b''.join(each.get('body', b'') for each in answer).decode()
    return answer[0]['status'], text, count - len(waiting)


def guarded(folder, behind=None, max_bytes=MIB, max_stored=10 * MIB):
    return guard.RequestGuard(behind or Behind(), folder, max_bytes, max_stored)


def join(data):
    return json.dumps(dict(data=data, fn_index=1, session_hash='a')).encode()


@pytest.mark.parametrize('path', [
    '/', '/config', '/assets/index.js', '/static/fonts/a.woff2', '/gradio_api/queue/data',
    '/gradio_api/heartbeat/abc', '/favicon.ico', '/theme.css'])
def test_what_a_page_reads_passes(folder, path):
    assert ask(guarded(folder), path)[:2] == (200, 'yes')


@pytest.mark.parametrize(('path', 'body'), [
    ('/gradio_api/proxy=http://127.0.0.1/', None), ('/gradio_api/dev/reload', None),
    ('/gradio_api/openapi.json', None), ('/monitoring', None), ('/gradio_api/vibe-code', None),
    ('/configuration/../x', None), ('/gradio_api/component_server', b'{}'), ('/login', b''),
    ('/gradio_api/run/open_picture', b'{}'), ('/gradio_api/call/regroup', b'{}'),
    ('/gradio_api/process_recording', b''), ('/', b'{}')])
def test_what_a_page_does_not_need_ends_here(folder, path, body):
    behind = Behind()
    status, text, _ = ask(guarded(folder, behind), path, body)
    assert (status, text, behind.bodies) == (404, guard.NOT_HERE, [])


def test_a_request_names_files_of_the_folder_alone(folder):
    behind = Behind()
    app = guarded(folder, behind)
    good = join([dict(path=str(folder / 'abc' / 'cat.png')), None, 0.5])
    assert ask(app, guard.JOIN, good, parts=3)[0] == 200
    assert behind.bodies == [good]
    for path in ('/etc/passwd', str(folder / '..' / 'secret.txt'), 'abc/cat.png', '', 5, ['/x'],
                 'http://127.0.0.1:1/x.png', str(folder / 'abc' / 'gone.png'), 'a\0b', 'a' * 9000,
                 str(folder / 'abc'), str(folder)):  # Gradio's cleaning stumbles over a folder
        for data in ([dict(path=path)], [[dict(a=dict(path=path))]]):
            assert ask(app, guard.JOIN, join(data))[:2] == (400, guard.NO_FILE), path
    assert len(behind.bodies) == 1


def test_a_link_out_of_the_folder_is_not_followed(folder):
    (folder / 'link.png').symlink_to(folder.parent / 'secret.txt')
    assert ask(guarded(folder), guard.JOIN, join([dict(path=str(folder / 'link.png'))]))[0] == 400


def test_files_are_read_from_the_folder_alone(folder):
    app = guarded(folder)
    assert ask(app, f'/gradio_api/file={folder}/abc/cat.png')[0] == 200
    for path in ('/etc/passwd', f'{folder}/abc', f'{folder}/../secret.txt', 'http://127.0.0.1/'):
        assert ask(app, f'/gradio_api/file={path}')[:2] == (404, guard.NO_FILE)


@pytest.mark.parametrize('body', [b'', b'{', b'[]', b'5', b'\xff\xfe', b'[' * 100_000])
def test_what_is_no_object_in_json_is_refused(folder, body):
    assert ask(guarded(folder), guard.JOIN, body)[:2] == (400, guard.NOT_JSON)


@pytest.mark.parametrize('length', [True, False])
def test_a_long_request_is_refused_and_read_no_further_than_it_must(folder, length):
    behind = Behind()
    body = b' ' * (guard.MAX_REQUEST + 1000)
    status, text, _ = ask(guarded(folder, behind), guard.JOIN, body, length, parts=1000)
    assert (status, text, behind.bodies) == (413, guard.TOO_LONG, [])
    endless = b' ' * (200 * guard.MAX_REQUEST)
    assert ask(guarded(folder), guard.JOIN, endless, length, parts=1000)[2] < 600


def test_uploads_have_a_largest_size(folder):
    behind = Behind()
    app = guarded(folder, behind)
    body = bytes(MIB)
    assert ask(app, guard.UPLOAD, body)[0] == 200 and behind.bodies == [body]
    status, text, read = ask(app, guard.UPLOAD, bytes(2 * MIB), parts=10)
    assert status == 413 and 'too large: 2.0 MB' in text and 'up to 1 MB' in text
    assert read == 10  # whoever is still sending does not read the answer
    assert ask(app, guard.UPLOAD, bytes(40 * MIB), parts=100)[2] < 20
    assert ask(app, guard.UPLOAD, body, length=False)[0] == 411
    assert len(behind.bodies) == 1


def test_uploads_make_room_for_themselves(folder):
    app = guarded(folder, max_stored=MIB)
    assert ask(app, guard.UPLOAD, bytes(MIB - 7))[0] == 200
    assert (folder / 'abc' / 'cat.png').exists()
    assert ask(app, guard.UPLOAD, bytes(MIB - 6))[0] == 200
    assert not (folder / 'abc' / 'cat.png').exists()


def test_an_error_behind_ends_in_a_sentence_and_in_the_log(folder, caplog):
    behind = Behind(RuntimeError('/home/somebody/secret'))
    status, text, _ = ask(guarded(folder, behind), '/config')
    assert (status, text) == (500, guard.WENT_WRONG)
    assert '/home/somebody/secret' in caplog.text
