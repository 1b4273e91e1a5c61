"""Refuses requests that the page does not make, before Gradio reads them."""
from contextlib import suppress
from pathlib import Path

from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

API = '/gradio_api'
UPLOAD = f'{API}/upload'
POST_PATHS = (UPLOAD, f'{API}/queue/join', f'{API}/cancel', f'{API}/reset')
GET_PATHS = ('/', '/config', '/theme.css', '/favicon.ico', '/robots.txt', f'{API}/queue/data',
             f'{API}/upload_progress', f'{API}/startup-events', f'{API}/app_id',
             f'{API}/theme.css', f'{API}/info')
GET_FOLDERS = ('/assets/', '/static/', '/svelte/', f'{API}/heartbeat/')
MAX_REQUEST = 2**18  # bytes of a request that is not an upload; those of the page have hundreds
MULTIPART_OVERHEAD = 2**13  # bytes around the file of an upload
SAMPLES = 'samples-'  # prefix of folders that belong to the page
NOT_FOUND = 'The page has nothing at this address.'
UNREADABLE = 'This is not a request of the page: a JSON object with the expected keys is required.'
UNEXPECTED = 'Something went wrong on the server. Its log has the details.'
# FastAPI's handlers of errors; uvicorn logs what ends in status 500
ERROR_RESPONSES = {RequestValidationError: lambda *_: PlainTextResponse(UNREADABLE, 400),
                   500: lambda *_: PlainTextResponse(UNEXPECTED, 500)}


class RequestGuard:
    """ASGI middleware that passes on what the page itself requests, within limits of size.

    Gradio also answers at addresses that the page does not use, reads bodies of any length into
    memory, and fetches files from URLs in a request. Only files in ``folder``, where uploads and
    downloads are stored, are served; ``max_upload`` and ``max_stored`` are bytes of an uploaded
    file and of all files in it.
    """

    def __init__(self, app: ASGIApp, folder: Path, max_upload: int, max_stored: int) -> None:
        self.app = app
        self.folder = folder
        self.max_stored = max_stored
        self.upload = RequestBodyLimitMiddleware(app, max_upload + MULTIPART_OVERHEAD)
        self.other = RequestBodyLimitMiddleware(app, MAX_REQUEST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a request or passes it on."""
        if scope['type'] == 'lifespan':
            return await self.app(scope, receive, send)
        is_upload = scope['path'] == UPLOAD
        app = self.upload if is_upload else self.other
        length = int(Headers(scope=scope).get('content-length', 0))
        if scope['type'] != 'http' or not self._is_of_page(scope['method'], scope['path']):
            app = PlainTextResponse(NOT_FOUND, 404)
        elif length > app.max_body_size:  # Starlette refuses it, too, but without a message
            await discard_body(receive, 4 * self.upload.max_body_size)
            app = PlainTextResponse(
                f'This is too large: {length:,} bytes, the page accepts up to '
                f'{app.max_body_size:,}. Upload a smaller file.', 413)
        elif is_upload:
            reserved = length or self.upload.max_body_size
            await run_in_threadpool(remove_oldest, self.folder, self.max_stored - reserved)
        await app(scope, receive, send)

    def _is_of_page(self, method: str, path: str) -> bool:
        if method in ('GET', 'HEAD'):
            return path in GET_PATHS or path.startswith(
                (*GET_FOLDERS, f'{API}/file={self.folder}/'))
        return method == 'OPTIONS' or method == 'POST' and path in POST_PATHS


async def discard_body(receive: Receive, max_bytes: int) -> None:
    """Reads a body of up to ``max_bytes``: many clients read no answer while they are sending."""
    while max_bytes > 0:
        message = await receive()
        max_bytes -= len(message.get('body', b''))
        if not message.get('more_body', False):
            return


def remove_oldest(folder: Path, max_bytes: int) -> None:
    """Removes the oldest files below ``folder`` until at most ``max_bytes`` remain.

    Folders that become empty go with them. Samples are kept and do not count.
    """
    files = []
    for file in folder.rglob('*'):
        with suppress(OSError):  # removed by another thread
            if file.is_file() and not file.relative_to(folder).parts[0].startswith(SAMPLES):
                files.append((file.stat().st_mtime, file.stat().st_size, file))
    excess = sum(size for _, size, _ in files) - max_bytes
    for _, size, file in sorted(files):
        if excess <= 0:
            return
        excess -= size
        with suppress(OSError):  # removed by another thread, or its folder has other files
            file.unlink()
            if file.parent != folder:
                file.parent.rmdir()
