"""What stands between the network and Gradio: a page has few addresses, and small requests."""
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .upload_folder import make_room

API = '/gradio_api'
UPLOAD = f'{API}/upload'
JOIN = f'{API}/queue/join'
READ = ('/', '/config', '/theme.css', '/favicon.ico', '/robots.txt', f'{API}/queue/data',
        f'{API}/upload_progress', f'{API}/startup-events', f'{API}/app_id', f'{API}/theme.css',
        f'{API}/info')
READ_BELOW = ('/assets/', '/static/', '/svelte/', f'{API}/file=', f'{API}/heartbeat/')
WRITE = (UPLOAD, JOIN, f'{API}/cancel', f'{API}/reset')
MAX_REQUEST = 2**18  # bytes of a request that is no upload; those of the page have hundreds
FRAME = 2**13  # bytes around the file of an upload
NOT_HERE = 'The page has nothing at this address.'
NO_FILE = 'This picture is not, or no longer, kept on the server: drop it again.'
NOT_JSON = 'The page makes no such request: it is not an object in JSON.'
TOO_LONG = 'This request is larger than any that the page makes.'
WENT_WRONG = 'Something went wrong. The log of the server says what.'
logger = logging.getLogger('mmseg_instbox.web')


class RequestGuard:
    """Lets through to Gradio what the page itself asks for; all else ends here with a sentence.

    Gradio answers at addresses that a page does not need, reads requests of any length, and fetches
    files from addresses that a request names.

    Args:
        app: What follows, by ASGI.
        folder: Where uploads lie; a request may name files in it alone.
        max_bytes: Larger uploads are refused before they are stored.
        max_stored: What the folder may hold, in bytes: before an upload the oldest files make room.
    """

    def __init__(self, app: ASGIApp, folder: Path, max_bytes: int, max_stored: int) -> None:
        self.app = app
        self.folder = folder
        self.max_bytes = max_bytes
        self.max_stored = max_stored

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or hands it on."""
        if scope['type'] == 'lifespan':
            return await self.app(scope, receive, send)
        sent = []

        async def note(message: Message) -> None:
            sent.append(True)
            await send(message)

        try:
            if scope['type'] != 'http' or not known(scope['method'], scope['path']):
                raise HTTPException(404, NOT_HERE)
            receive = await self._checked(scope, receive)
            await self.app(scope, receive, note)
        except HTTPException as refusal:
            await PlainTextResponse(refusal.detail, refusal.status_code)(scope, receive, send)
        except Exception:
            logger.exception('Error behind the page')
            if not sent:
                await PlainTextResponse(WENT_WRONG, 500)(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """What gives the body of a request, if it may pass.

        Raises:
            HTTPException: It may not.
        """
        _, is_file, path = scope['path'].partition(f'{API}/file=')
        if is_file and not self._holds(path):
            raise HTTPException(404, NO_FILE)
        if scope['method'] != 'POST':
            return receive
        if scope['path'] == UPLOAD:
            return await self._upload(scope, receive)
        body = await read_body(scope, receive, MAX_REQUEST)
        if scope['path'] == JOIN and not all(map(self._holds, named_files(read_json(body)))):
            raise HTTPException(400, NO_FILE)
        return replay(body, receive)

    async def _upload(self, scope: Scope, receive: Receive) -> Receive:
        """The body of an upload; it is not held in memory, so its length is said before."""
        length = stated_length(scope)
        if length is None:
            raise HTTPException(411, 'An upload says how long it is.')
        if length > self.max_bytes + FRAME:
            await skip_body(receive, 4 * self.max_bytes)
            raise HTTPException(413, f'This file is too large: {length / 2**20:.1f} MB. The page '
                                f'takes up to {self.max_bytes / 2**20:g} MB. Make it smaller.')
        make_room(self.folder, self.max_stored - length)
        return receive

    def _holds(self, path: Any) -> bool:
        """Whether a file that a request names is one of the folder.

        A folder is none: Gradio's cleaning of old files would end for ever at it.
        """
        if not isinstance(path, str) or '\0' in path:
            return False
        try:
            file = Path(path).resolve()
            return file.is_relative_to(self.folder) and file.is_file()
        except OSError:  # a name that is too long
            return False


def known(method: str, path: str) -> bool:
    """Whether a request is one that the page makes."""
    if method in ('GET', 'HEAD'):
        return path in READ or path.startswith(READ_BELOW)
    return method == 'OPTIONS' or method == 'POST' and path in WRITE


def stated_length(scope: Scope) -> int | None:
    """Length of a body as its request says, None where it does not."""
    text = dict(scope['headers']).get(b'content-length', b'').decode('latin-1')
    return int(text) if text.isdecimal() else None


async def chunks(receive: Receive) -> Any:
    """The parts of a body, one after another."""
    while True:
        message = await receive()
        yield message.get('body', b'')
        if not message.get('more_body'):
            return


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body of a request.

    Raises:
        HTTPException: It is longer than ``limit`` bytes.
    """
    if (stated_length(scope) or 0) > limit:
        await skip_body(receive, 100 * limit)
        raise HTTPException(413, TOO_LONG)
    body = b''
    async for chunk in chunks(receive):
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, TOO_LONG)
    return body


async def skip_body(receive: Receive, limit: int) -> None:
    """Reads a body without keeping it, up to ``limit`` bytes: a client that is still sending does
    not read the answer."""
    async for chunk in chunks(receive):
        limit -= len(chunk)
        if limit < 0:
            return


def replay(body: bytes, rest: Receive) -> Receive:
    """Gives a body that was read already to whoever comes next, and then what follows it."""
    messages = [dict(type='http.request', body=body, more_body=False)]

    async def receive() -> Message:
        return messages.pop() if messages else await rest()

    return receive


def read_json(body: bytes) -> dict[str, Any]:
    """The object in a body.

    Raises:
        HTTPException: There is none.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, NOT_JSON) from error
    if not isinstance(content, dict):
        raise HTTPException(400, NOT_JSON)
    return content


def named_files(content: Any) -> Iterator[Any]:
    """Every file that a request names, at any depth: values of ``path``."""
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if part.get('path') is not None:
                yield part['path']
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
