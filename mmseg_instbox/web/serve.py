import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..errors import FileAccessError, InvalidInputError
from .app import build_app
from .guard import RequestGuard

HERE = Path(__file__).parent
# Gradio keeps figures of ten thousand requests and evaluates all of them after each one
UNMEASURED = dict(GRADIO_ANALYTICS_ENABLED='False', GRADIO_ANALYTICS_MAX_EVENTS='1',
                  GRADIO_ANALYTICS_CACHE_FREQUENCY='1000000000')
MAX_SESSIONS = 500  # visitors whose settings are remembered
FONTS = [gr.themes.Font(name) for name in ('system-ui', '-apple-system', 'Segoe UI', 'Roboto',
                                           'DejaVu Sans', 'sans-serif')]
MONO_FONTS = [gr.themes.Font(name) for name in ('ui-monospace', 'DejaVu Sans Mono', 'monospace')]


def serve(inferencer: Any, **options: Any) -> None:
    """Serves the page until it is interrupted; arguments as of :func:`running`."""
    with running(inferencer, **options) as app:
        print(f'The page is at {app.local_url} - Ctrl-C ends it.', flush=True)
        app.block_thread()


@contextmanager
def running(inferencer: Any,
            host: str = '127.0.0.1',
            port: int | None = None,
            max_upload_mb: float = 20,
            max_stored_mb: float = 1000,
            queue_size: int = 64,
            **options: Any) -> Iterator[gr.Blocks]:
    """The page, served while the context lasts.

    Nothing is sent to or loaded from elsewhere; uploads and downloads lie in a temporary folder
    that goes with the server.

    Args:
        inferencer: An ``InstBoxInferencer``.
        host: Address to listen at; the default is reached from this machine alone.
        port: Port; by default the first free one from 7860 on.
        max_upload_mb: Larger files are refused, in megabytes.
        max_stored_mb: What the files of all visitors may take, in megabytes; the oldest go first.
        queue_size: How many requests may wait; more are told to come back.
        **options: Of :func:`.app.build_app`.

    Yields:
        gr.Blocks: The page, with ``local_url``.

    Raises:
        ValueError: If a limit is not positive.
        OSError: If the port is taken.
    """
    if max_upload_mb <= 0 or max_stored_mb < max_upload_mb or queue_size < 1:
        raise InvalidInputError(
            'max_upload_mb of the page is above 0, max_stored_mb not below it and queue_size at '
            f'least 1, got {max_upload_mb}, {max_stored_mb} and {queue_size}')
    folder = Path(tempfile.mkdtemp(prefix='instbox-')).resolve()
    guard = Middleware(RequestGuard, folder, round(max_upload_mb * 2**20),
                       round(max_stored_mb * 2**20))
    try:
        with environment(GRADIO_TEMP_DIR=str(folder), **UNMEASURED):
            app = build_app(inferencer, **options)
            app.queue(max_size=queue_size, api_open=False)
            _launch(app, host, port, guard)
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
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _launch(app: gr.Blocks, host: str, port: int | None, guard: Middleware) -> None:
    """Starts the server of a page in a thread of its own."""
    try:
        _start(app, host, port, guard)
    except OSError as error:
        raise FileAccessError(f'Port {port or "7860 to 7959"} of {host} cannot be used: it is '
                              'taken, or the address is not one of this machine. Choose '
                              'another.') from error


def _start(app: gr.Blocks, host: str, port: int | None, guard: Middleware) -> None:
    app.launch(
        server_name=host,
        server_port=port,
        max_file_size=guard.args[1],
        app_kwargs=dict(middleware=[guard]),
        state_session_capacity=MAX_SESSIONS,
        theme=gr.themes.Default(primary_hue='indigo', neutral_hue='slate', font=FONTS,
                                font_mono=MONO_FONTS),
        css_paths=HERE / 'page.css',
        share=False,
        quiet=True,
        inbrowser=False,
        show_error=False,
        prevent_thread_lock=True,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False)
