"""Serves the page: Gradio's server with limits, no telemetry and a temporary folder."""
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ..errors import FileAccessError, InvalidInputError
from ..utils import DEFAULT_SCORE_THR
from ..utils.foreign_errors import convert_errors
from .app import SafeBlocks, connect
from .backend import PageBackend
from .layout import Page, find_samples
from .request_guard import ERROR_RESPONSES, RequestGuard

LOOPBACK = ('127.0.0.1', 'localhost', '::1', '[::1]')
DELETE_FILES = (300, 1800)  # seconds between two rounds, and age of the files that are deleted
MAX_SESSIONS = 500  # visitors whose settings Gradio remembers
# Gradio keeps timings of ten thousand requests and evaluates all of them after each one
NO_ANALYTICS = dict(GRADIO_ANALYTICS_ENABLED='False', GRADIO_ANALYTICS_MAX_EVENTS='1',
                    GRADIO_ANALYTICS_CACHE_FREQUENCY='1000000000')
# what the page does not use of Gradio
SWITCHED_OFF = dict(
    share=False, inbrowser=False, show_error=False, footer_links=[], run_history=False,
    enable_monitoring=False, ssr_mode=False, mcp_server=False, pwa=False)
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
            max_upload_mb: float = 40,
            max_stored_mb: float = 1000,
            queue_size: int = 64,
            max_pixels: int = 16_000_000,
            samples: Sequence[str | Path] | None = None,
            score_thr: float = DEFAULT_SCORE_THR) -> Iterator[gr.Blocks]:
    """Serves the page in a background thread while the context lasts.

    A visitor uploads an image, sees its instances, moves sliders and saves the results. The page
    loads nothing from other hosts and sends nothing to them. Uploads and downloads lie in
    a temporary folder that is removed with the server.

    Args:
        inferencer: An ``InstBoxInferencer``.
        host, port, max_upload_mb, max_stored_mb, queue_size, max_pixels: The options of
            ``instbox serve``; MB are MiB.
        allowed_hosts: Host names that requests may be addressed to besides those of the loopback
            interface, such as the public name of a reverse proxy. Without any, a server that
            listens at another address than loopback accepts all names.
        samples: Images to choose from; those of the package by default.
        score_thr: Initial value of the slider for the score.

    Yields:
        gr.Blocks: The page, with its address in ``local_url``.

    Raises:
        InvalidInputError: ``max_stored_mb`` is below ``max_upload_mb``, or a host name has a ``*``
            elsewhere than at its beginning.
        FileAccessError: The port or address cannot be used.
    """
    if max_stored_mb < max_upload_mb:
        raise InvalidInputError(f'max_stored_mb is {max_stored_mb}; expected at least '
                                f'max_upload_mb, which is {max_upload_mb}.')
    if any('*' in name.removeprefix('*.') for name in allowed_hosts):
        raise InvalidInputError(f'Got allowed_hosts={list(allowed_hosts)}; expected names such as '
                                'demo.example.org or *.example.org.')
    max_upload, max_stored = (round(size * 2**20) for size in (max_upload_mb, max_stored_mb))
    hosts = [*LOOPBACK, host, *allowed_hosts] if allowed_hosts or host in LOOPBACK else ['*']
    theme = gr.themes.Default(
        primary_hue='indigo', neutral_hue='slate', font=FONTS, font_mono=MONO_FONTS)
    with tempfile.TemporaryDirectory(prefix='instbox-', ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        guards = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
                  Middleware(RequestGuard, folder, max_upload, max_stored)]
        with patch.dict(os.environ, GRADIO_TEMP_DIR=str(folder), **NO_ANALYTICS):
            with SafeBlocks(title='Instances from pixel boxes', analytics_enabled=False,
                            delete_cache=DELETE_FILES, fill_width=True) as app:
                connect(Page(inferencer.model.grouper, find_samples() if samples is None
                             else samples, score_thr), PageBackend(inferencer, max_pixels))
            app.queue(max_size=queue_size, api_open=False)
            with convert_errors(
                    f'Port {port or "7860 to 7959"} of {host} cannot be used; choose another one',
                    OSError, to=FileAccessError):
                app.launch(
                    server_name=host, server_port=port, max_file_size=max_upload, theme=theme,
                    css_paths=Path(__file__).parent / 'page.css', quiet=True,
                    state_session_capacity=MAX_SESSIONS, prevent_thread_lock=True, **SWITCHED_OFF,
                    app_kwargs=dict(middleware=guards, exception_handlers=ERROR_RESPONSES))
            try:
                yield app
            finally:
                app.close(verbose=False)
