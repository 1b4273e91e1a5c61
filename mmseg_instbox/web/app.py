"""The Gradio app: what happens when a visitor uploads an image, changes a setting or saves."""
import logging
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj, traverse

from .backend import PageBackend, PageError
from .layout import Page
from .request_guard import UNEXPECTED

FILE_GONE = 'This file is not stored on the server, or no longer. Upload the image again.'
CLICK_DOWNLOAD = "() => setTimeout(() => document.querySelector('#instbox-file').click(), 100)"
logger = logging.getLogger('mmseg_instbox.web')


class SafeBlocks(gr.Blocks):
    """Blocks that refuse files outside Gradio's cache and answer every error with a message."""

    async def process_api(self, block_fn: Any, inputs: list[Any], *args: Any,
                          **options: Any) -> dict[str, Any]:
        """Processes an event as ``gr.Blocks`` does; raises gr.Error with the visitor's message."""
        try:
            traverse(inputs, lambda part: part, check_files)
            return await super().process_api(block_fn, inputs, *args, **options)
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(message_for_visitor(error), print_exception=False) from error


def check_files(part: Any) -> bool:
    """Raises PageError for a part of an event's inputs that names a file outside Gradio's cache, a
    folder or no file; else returns False, so that ``traverse`` visits what lies inside the part.

    Gradio itself would fetch URLs, and stop deleting old files once a folder is named.
    """
    if is_file_obj(part):
        path = Path(part['path']).resolve()
        if not (path.is_relative_to(gr.utils.get_upload_folder()) and path.is_file()):
            raise PageError(FILE_GONE)
    return False


def message_for_visitor(error: Exception) -> str:
    """The message of an expected error; an unexpected one is logged and gets a general message."""
    if isinstance(error, PageError):
        return str(error)
    logger.error('Unexpected error behind the page', exc_info=error)
    return UNEXPECTED


def connect(page: Page, backend: PageBackend) -> None:
    """Attaches the event handlers to the components."""

    def open_image(file: gr.FileData | None, old_key: str | None, *values: Any) -> list[Any]:
        backend.forget(old_key)
        key, view = None, None
        if file is not None and file.path:
            try:
                key = backend.open(file.path, file.orig_name or file.path)
                view = backend.view(key, page.read_settings(*values))
            except Exception as error:
                key, view = None, dict(error=message_for_visitor(error))
        return [key, view, *(gr.Button(interactive=key is not None) for _ in page.save_buttons)]

    def update(key: str | None, *values: Any) -> dict[str, Any] | None:
        if key is None:
            return gr.skip()
        try:
            return backend.view(key, page.read_settings(*values))
        except Exception as error:
            return dict(error=message_for_visitor(error))

    def save(kind: str, key: str | None, *values: Any) -> str:
        folder = Path(page.file.GRADIO_CACHE, uuid.uuid4().hex)
        folder.mkdir(parents=True)
        return str(backend.export(key, page.read_settings(*values), kind, folder))

    defaults = [slider.value for slider in page.sliders.values()]
    hidden = dict(show_progress='hidden', api_visibility='private')
    inputs = [page.key, *page.settings]
    page.image.change(open_image, [page.image, *inputs],
                      [page.key, page.viewer, *page.save_buttons.values()],
                      show_progress_on=[page.viewer], concurrency_limit=1,
                      api_visibility='private')
    gr.on([each.input for each in page.settings], update, inputs, page.viewer,
          trigger_mode='always_last', concurrency_limit=2, **hidden)
    page.reset.click(lambda: defaults, None, [*page.sliders.values()], **hidden).then(
        update, inputs, page.viewer, **hidden)
    for kind, button in page.save_buttons.items():
        button.click(partial(save, kind), inputs, page.file, **hidden).success(
            None, js=CLICK_DOWNLOAD)
