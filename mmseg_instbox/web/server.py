"""Serves the page: Gradio's server with limits, no telemetry and a temporary folder."""
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ..errors import FileAccessError, InvalidInputError
from .app import build_app
from .request_guard import ERROR_RESPONSES, RequestGuard

LOOPBACK = ('127.0.0.1', 'localhost', '::1', '[::1]')
MAX_SESSIONS = 500  # visitors whose settings Gradio remembers
# Gradio keeps timings of ten thousand requests and evaluates all of them after each one
NO_ANALYTICS = dict(GRADIO_ANALYTICS_ENABLED='False', GRADIO_ANALYTICS_MAX_EVENTS='1',
                    GRADIO_ANALYTICS_CACHE_FREQUENCY='1000000000')
FONTS = ('system-ui', '-apple-system', 'Segoe UI', 'Roboto', 'DejaVu Sans', 'sans-serif')
MONO_FONTS = ('ui-monospace', 'DejaVu Sans Mono', 'monospace')


def serve(inferencer: Any, **options: Any) -> None:
    """Serves the page until the process is interrupted; arguments as of :func:`running`."""
    with running(inferencer, **options) as app:
        print(f'The page is at {app.local_url} - press Ctrl-C to stop.', flush=True)
        app.block_thread()


@contextmanager
def running(inferencer: Any,
            host: str = '127.0.0.1',
            port: int | None = None,
            allowed_hosts: Sequence[str] = (),
            max_upload_mb: float = 20,
            max_stored_mb: float = 1000,
            queue_size: int = 64,
            **options: Any) -> Iterator[gr.Blocks]:
    """Serves the page in a background thread while the context lasts.

    The page loads nothing from other hosts and sends nothing to them. Uploads and downloads lie in
    a temporary folder that is removed with the server.

    Args:
        inferencer: An ``InstBoxInferencer``.
        host: Address to listen at; the default is reachable from this machine only.
        port: Port; the first free one from 7860 on by default.
        allowed_hosts: Host names that requests may be addressed to besides those of the loopback
            interface, such as the public name of a reverse proxy. Without any, a server that
            listens at another address than loopback accepts all names.
        max_upload_mb: Limit of an uploaded file, in MiB.
        max_stored_mb: Limit of all stored files together, in MiB; the oldest are removed first.
        queue_size: Number of requests that may wait; further ones are refused.
        **options: Of :func:`.app.build_app`.

    Yields:
        gr.Blocks: The page, with its address in ``local_url``.

    Raises:
        InvalidInputError: A limit is not positive, ``max_stored_mb`` is below ``max_upload_mb``,
            or a host name has a ``*`` elsewhere than at its beginning.
        FileAccessError: The port or address cannot be used.
    """
    if max_upload_mb <= 0 or max_stored_mb < max_upload_mb or queue_size < 1:
        raise InvalidInputError(
            f'Got max_upload_mb={max_upload_mb}, max_stored_mb={max_stored_mb} and '
            f'queue_size={queue_size}; expected max_upload_mb above 0, max_stored_mb of at least '
            'max_upload_mb and queue_size of at least 1.')
    if any('*' in name.removeprefix('*.') for name in allowed_hosts):
        raise InvalidInputError(f'Got allowed_hosts={list(allowed_hosts)}; expected names such as '
                                'demo.example.org or *.example.org.')
    max_upload, max_stored = (round(size * 2**20) for size in (max_upload_mb, max_stored_mb))
    folder = Path(tempfile.mkdtemp(prefix='instbox-')).resolve()
    hosts = [*LOOPBACK, host, *allowed_hosts] if allowed_hosts or host in LOOPBACK else ['*']
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
              Middleware(RequestGuard, folder, max_upload, max_stored)]
    try:
        with environment(GRADIO_TEMP_DIR=str(folder), **NO_ANALYTICS):
            app = build_app(inferencer, **options)
            app.queue(max_size=queue_size, api_open=False)
            launch(app, host, port, max_upload,
                   dict(middleware=guards, exception_handlers=ERROR_RESPONSES))
            try:
                yield app
            finally:
                app.close(verbose=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Sets environment variables while the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def launch(app: gr.Blocks, host: str, port: int | None, max_file_size: int,
           app_kwargs: dict[str, Any]) -> None:
    """Starts Gradio's server in a thread, without the features that the page does not use."""
    theme = gr.themes.Default(
        primary_hue='indigo', neutral_hue='slate', font=FONTS, font_mono=MONO_FONTS)
    try:
        app.launch(
            server_name=host, server_port=port, max_file_size=max_file_size, app_kwargs=app_kwargs,
            state_session_capacity=MAX_SESSIONS, theme=theme,
            css_paths=Path(__file__).parent / 'page.css', prevent_thread_lock=True, share=False,
            quiet=True, inbrowser=False, show_error=False, footer_links=[], run_history=False,
            enable_monitoring=False, ssr_mode=False, mcp_server=False, pwa=False)
    except OSError as error:
        raise FileAccessError(
            f'Port {port or "7860 to 7959"} of {host} cannot be used: it is taken, or {host} is '
            'not an address of this machine. Choose another one.') from error
