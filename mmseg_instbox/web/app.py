import logging
import shutil
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from .grouping_controls import Control, grouping_controls, grouping_options
from .parts import instance_viewer, picture_input
from .samples import sample_pictures
from .studio import PageError, Settings, Studio, Upload
from .view import LAYERS

HERE = Path(__file__).parent
TITLE = 'Instances from pixel boxes'
UNEXPECTED = 'Something went wrong while working on this picture. The log of the server says what.'
FILES = (('coco', '↓ COCO JSON'), ('png', '↓ Masks PNG'), ('picture', '↓ Picture'))
SAVE = "() => setTimeout(() => document.querySelector('#instbox-file').click(), 100)"
KEEP_FILES = (300, 1800)  # seconds: how often files are looked for, from what age they go
logger = logging.getLogger('mmseg_instbox.web')


class Page(NamedTuple):
    """The parts of the page."""
    picture: gr.Image
    layers: gr.CheckboxGroup
    score: gr.Slider
    sliders: list[gr.Slider]
    reset: gr.Button
    viewer: gr.HTML
    saves: list[gr.Button]
    file: gr.DownloadButton
    key: gr.State

    @property
    def settings(self) -> list[Any]:
        """What a visitor can set, in the order that the handlers take it."""
        return [self.layers, self.score, *self.sliders]


def build_app(inferencer: Any,
              samples: Sequence[str | Path] | None = None,
              max_pixels: int = 16_000_000,
              max_objects: int = 200,
              capacity: int = 16,
              score_thr: float = 0.2) -> gr.Blocks:
    """The web page: drop a picture, see instances, move sliders, download.

    The network runs once for a picture; sliders group and draw again what it said.

    Args:
        inferencer: An ``InstBoxInferencer``.
        samples: Pictures to choose from; those of the package by default.
        max_pixels: Larger pictures are refused with a message.
        max_objects: How many instances of a picture are shown.
        capacity: How many pictures are kept in memory for regrouping, of all visitors together.
        score_thr: Where the slider of the score stands at first.

    Returns:
        gr.Blocks: To be launched; :func:`.serve.serve` does it with limits and without telemetry.

    Raises:
        ValueError: If a limit is not at least 1.
    """
    studio = Studio(inferencer, max_pixels, max_objects, capacity)
    controls = grouping_controls(inferencer.model.grouper)
    samples = sample_pictures() if samples is None else samples
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=KEEP_FILES,
                   fill_width=True) as app:
        page = lay_out(controls, samples, score_thr)
        connect(page, studio, controls)
    app.process_api = telling(app.process_api)
    return app


def lay_out(controls: list[Control], samples: Sequence[str | Path], score_thr: float) -> Page:
    """Puts the parts on the page that is being built."""
    gr.HTML((HERE / 'header.html').read_text(), js_on_load=(HERE / 'header.js').read_text(),
            apply_default_css=False, elem_id='instbox-header')
    key = gr.State(None)
    with gr.Row(elem_id='instbox-columns'):
        with gr.Column(scale=4, min_width=300, elem_id='instbox-input'):
            picture = picture_input(
                label='Picture', sources=['upload', 'clipboard'], height=260, buttons=[],
                elem_id='instbox-picture')
            if samples:
                lay_out_samples(samples, picture)
        with gr.Column(scale=7, min_width=300, elem_id='instbox-output'):
            viewer = instance_viewer(elem_id='instbox-viewer')
            with gr.Row(elem_id='instbox-saves'):
                saves = [gr.Button(text, interactive=False, size='md', min_width=90,
                                   elem_id=f'instbox-save-{kind}') for kind, text in FILES]
            file = gr.DownloadButton(visible='hidden', elem_id='instbox-file')
        with gr.Column(scale=4, min_width=300, elem_id='instbox-settings'):
            layers, score, sliders, reset = lay_out_settings(controls, score_thr)
    return Page(picture, layers, score, sliders, reset, viewer, saves, file, key)


def lay_out_samples(samples: Sequence[str | Path], picture: gr.Image) -> None:
    """Puts sample pictures on the page; a click hands one to ``picture``.

    They are copied, so that addresses on the page do not tell where they lie. ``gr.Examples`` would
    replace ``picture`` by a plain one when it is clicked.
    """
    folder = Path(picture.GRADIO_CACHE, f'samples-{uuid.uuid4().hex}')
    folder.mkdir(parents=True)
    copies = [shutil.copy(sample, folder) for sample in samples]
    gr.set_static_paths([folder])
    choice = gr.Dataset(components=[picture], samples=[[copy] for copy in copies], type='index',
                        label='Or choose a sample', elem_id='instbox-samples')
    choice.click(lambda index: copies[index], choice, picture, show_progress='hidden',
                 api_visibility='private')


def lay_out_settings(controls: list[Control], score_thr: float) -> tuple[Any, ...]:
    """Puts the settings on the page: what is shown, the score, the grouper's sliders, reset."""
    layers = gr.CheckboxGroup(
        list(LAYERS), value=list(Settings().layers), label='Show', elem_id='instbox-layers',
        info='Categories: the semantic map. Votes: where the pixels of things point.')
    score = gr.Slider(0, 1, score_thr, step=0.01, label='Smallest score', buttons=[],
                      elem_id='instbox-score')
    with gr.Accordion('Grouping', open=True):
        gr.Markdown('Groups again what the network said, without running it.')
        sliders = [_slider(control) for control in controls]
        reset = gr.Button("Back to the model's settings", size='sm', elem_id='instbox-reset')
    return layers, score, sliders, reset


def _slider(control: Control) -> gr.Slider:
    return gr.Slider(control.minimum, control.maximum, control.default, step=control.step,
                     label=control.label, info=control.info, buttons=[],
                     elem_id=f'instbox-{control.name}')


def connect(page: Page, studio: Studio, controls: list[Control]) -> None:
    """Says what happens when the visitor does something."""

    def read(layers: list[str], score_thr: float, *values: float) -> Settings:
        return Settings(score_thr, tuple(layers), grouping_options(controls, values))

    def open_picture(upload: Upload | None, old_key: str | None, *values: Any) -> list[Any]:
        studio.store.drop(old_key)
        key, view = None, None
        if upload is not None:
            try:
                key = studio.open(upload)
                view = studio.view(key, read(*values))
            except Exception as error:
                key, view = None, dict(error=sentence(error))
        return [key, view, *(gr.Button(interactive=key is not None) for _ in page.saves)]

    def regroup(key: str | None, *values: Any) -> dict[str, Any] | None:
        if key is None:
            return gr.skip()
        try:
            return studio.view(key, read(*values))
        except Exception as error:
            return dict(error=sentence(error))

    def save(kind: str, key: str | None, *values: Any) -> str:
        folder = Path(page.file.GRADIO_CACHE, uuid.uuid4().hex)
        folder.mkdir(parents=True)
        try:
            return str(studio.export(key, read(*values), kind, folder))
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from error

    quiet = dict(show_progress='hidden', api_visibility='private')
    page.picture.change(open_picture, [page.picture, page.key, *page.settings],
                        [page.key, page.viewer, *page.saves], show_progress_on=[page.viewer],
                        concurrency_limit=1, api_visibility='private')
    gr.on([each.input for each in page.settings], regroup, [page.key, *page.settings],
          page.viewer, trigger_mode='always_last', concurrency_limit=2, **quiet)
    page.reset.click(lambda: [control.default for control in controls], None, page.sliders,
                     **quiet).then(regroup, [page.key, *page.settings], page.viewer, **quiet)
    for button, (kind, _) in zip(page.saves, FILES, strict=True):
        button.click(partial(save, kind), [page.key, *page.settings], page.file,
                     **quiet).success(None, js=SAVE)


def telling(process: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Gradio's work on a request, with a sentence where that fails before it reaches ours."""

    @wraps(process)
    async def tell(*args: Any, **options: Any) -> Any:
        try:
            return await process(*args, **options)
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from error

    return tell


def sentence(error: Exception) -> str:
    """What the visitor is told of an error; one that was not foreseen goes to the log."""
    if isinstance(error, PageError):
        return str(error)
    logger.error('Error behind the page', exc_info=error)
    return UNEXPECTED
