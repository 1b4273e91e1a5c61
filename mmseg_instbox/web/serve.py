import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from .app import build_app

HERE = Path(__file__).parent
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
            queue_size: int = 20,
            **options: Any) -> Iterator[gr.Blocks]:
    """The page, served while the context lasts.

    Nothing is sent to or loaded from elsewhere; uploads and downloads lie in a temporary folder
    that goes with the server.

    Args:
        inferencer: An ``InstBoxInferencer``.
        host: Address to listen at; the default is reached from this machine alone.
        port: Port; by default the first free one from 7860 on.
        max_upload_mb: Larger files are refused, in megabytes.
        queue_size: How many requests may wait; more are told to come back.
        **options: Of :func:`.app.build_app`.

    Yields:
        gr.Blocks: The page, with ``local_url``.

    Raises:
        ValueError: If a limit is not positive.
        OSError: If the port is taken.
    """
    if max_upload_mb <= 0 or queue_size < 1:
        raise ValueError('max_upload_mb of the page is above 0 and queue_size at least 1, got '
                         f'{max_upload_mb} and {queue_size}')
    folder = tempfile.mkdtemp(prefix='instbox-')
    try:
        with environment(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED='False'):
            app = build_app(inferencer, **options)
            app.queue(max_size=queue_size, api_open=False)
            _launch(app, host, port, round(max_upload_mb * 2**20))
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


def _launch(app: gr.Blocks, host: str, port: int | None, max_bytes: int) -> None:
    """Starts the server of a page in a thread of its own."""
    try:
        _start(app, host, port, max_bytes)
    except OSError as error:
        raise OSError(f'Port {port or "7860 to 7959"} of {host} cannot be used: it is taken, or '
                      'the address is not one of this machine. Choose another.') from error


def _start(app: gr.Blocks, host: str, port: int | None, max_bytes: int) -> None:
    app.launch(
        server_name=host,
        server_port=port,
        max_file_size=max_bytes,
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
