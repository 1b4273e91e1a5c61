"""The two parts of the page that Gradio does not have as they are needed.

They are made from Gradio's own ones: of each subclass Gradio writes a stub file into the package.
"""
from pathlib import Path
from typing import Any

import gradio as gr

from .studio import Upload

HERE = Path(__file__).parent


def instance_viewer(**options: Any) -> gr.HTML:
    """A picture with its instances: pointing at one lifts it out, a table lists them.

    The value is what :func:`.view.render` gives with ``milliseconds``, ``dict(error=...)`` for a
    message, or None.
    """
    return gr.HTML(
        None,
        html_template=(HERE / 'viewer.html').read_text(),
        css_template=(HERE / 'viewer.css').read_text(),
        js_on_load=(HERE / 'viewer.js').read_text(),
        apply_default_css=False,
        **options)


def picture_input(**options: Any) -> gr.Image:
    """Gradio's image input that hands on the file as it came in, an :class:`.studio.Upload`.

    Gradio's own would unpack it first, so that a broken or huge file ended in an error of its own.
    """
    picture = gr.Image(**options)
    picture.preprocess = hand_on
    return picture


def hand_on(payload: Any) -> Upload | None:
    """Where an uploaded file lies and how the visitor calls it, None where there is none."""
    if payload is None or payload.path is None:
        return None
    return Upload(payload.path, payload.orig_name or payload.path)
