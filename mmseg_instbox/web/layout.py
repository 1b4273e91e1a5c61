"""The components of the page and their places."""
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from ..engine.model_index import index_root
from .backend import Settings
from .request_guard import SAMPLES
from .view import LAYERS

DOWNLOADS = dict(coco='↓ COCO JSON', png='↓ Masks PNG', image='↓ Image')
# Options of the groupers: name, label, explanation, minimum, maximum, step
GROUPING = (
    ('min_gain', 'Evidence an object needs', 'Higher: fewer, more certain objects. Lower: '
     'small and hidden ones, too.', 0, 0.6, 0.01),
    ('merge_iou', 'Merge boxes above overlap', 'Candidates whose boxes overlap more than this are '
     'one object.', 0.1, 1, 0.05),
    ('bin_size', 'Voting bin', 'How far apart votes for one object may lie, in sizes of its '
     'box.', 0.05, 1, 0.05),
    ('num_smooth', 'Smoothing rounds', 'How often the boxes of neighbouring cells are averaged.',
     0, 5, 1),
    ('num_refine', 'Refinements', 'How often boxes are refined and cells assigned again.',
     0, 5, 1),
    ('sigma', 'Blur of the votes', 'In cells of the feature grid.', 0.5, 6, 0.5),
    ('box_iou_thr', 'Overlap of one object', 'Cells whose boxes overlap more than this belong '
     'together.', 0.1, 0.95, 0.05),
    ('region_iou_thr', 'Overlap of regions', 'Of regions that overlap more than this, the one '
     'with the higher score stays.', 0.1, 0.95, 0.05),
)


class Page:
    """Creates the components of the page inside the current ``gr.Blocks``.

    The options of the model's ``grouper`` become sliders; ``samples`` are images to choose from.
    :meth:`read_settings` takes the values of the components ``settings``.
    """

    def __init__(self, grouper: object, samples: Sequence[str | Path], score_thr: float) -> None:
        self.key = gr.State(None)
        add_html('header')
        with gr.Row(elem_id='instbox-columns'):
            with gr.Column(scale=4, min_width=300, elem_id='instbox-input'):
                self.image = gr.Image(label='Image', sources=['upload', 'clipboard'], height=260,
                                      buttons=[], elem_id='instbox-image')
                # the file as it was uploaded: Gradio's own preprocessing decodes any size
                self.image.preprocess = lambda file: file
                if samples:
                    add_samples(samples, self.image)
            with gr.Column(scale=7, min_width=300, elem_id='instbox-output'):
                self.viewer = add_html('viewer', css_template=read('viewer.css'))
                with gr.Row(elem_id='instbox-saves'):
                    self.save_buttons = {
                        kind: gr.Button(text, interactive=False, size='md', min_width=90,
                                        elem_id=f'instbox-save-{kind}')
                        for kind, text in DOWNLOADS.items()}
                self.file = gr.DownloadButton(visible='hidden', elem_id='instbox-file')
            with gr.Column(scale=4, min_width=300, elem_id='instbox-settings'):
                self.layers = gr.CheckboxGroup(
                    list(LAYERS), value=list(Settings().layers), label='Show',
                    elem_id='instbox-layers', info='Categories: the semantic map. Votes: the '
                    'centre that each cell of a thing votes for.')
                self.score = gr.Slider(
                    0, 1, score_thr, step=0.01, label='Minimum score', buttons=[],
                    elem_id='instbox-score',
                    info='The share of instances of such a score that are right.')
                with gr.Accordion('Grouping', open=True):
                    gr.Markdown("Groups the network's outputs again without running it.")
                    self.sliders = grouping_sliders(grouper)
                    self.reset = gr.Button("Back to the model's settings", size='sm',
                                           elem_id='instbox-reset')
        self.settings = [self.layers, self.score, *self.sliders.values()]

    def read_settings(self, layers: list[str], score_thr: float, *values: float) -> Settings:
        """Reads the values of :attr:`settings`; whole numbers where a slider's step is one."""
        options = {name: int(value) if slider.step == 1 else float(value)
                   for (name, slider), value in zip(self.sliders.items(), values, strict=True)}
        return Settings(score_thr, tuple(layers), options)


def add_html(name: str, **options: str) -> gr.HTML:
    """Adds a component made of ``NAME.html`` and ``NAME.js``."""
    return gr.HTML(html_template=read(f'{name}.html'), js_on_load=read(f'{name}.js'),
                   apply_default_css=False, elem_id=f'instbox-{name}', **options)


def read(name: str) -> str:
    """Reads a file beside this one."""
    return (Path(__file__).parent / name).read_text(encoding='utf-8')


def grouping_sliders(grouper: object) -> dict[str, gr.Slider]:
    """A slider for each known option of a grouper, at the grouper's own value; its range is widened
    where that value lies outside."""
    return {
        name: gr.Slider(min(low, value), max(high, value), value, step=step, label=label,
                        info=info, buttons=[], elem_id=f'instbox-{name}')
        for name, label, info, low, high, step in GROUPING
        if (value := getattr(grouper, name, None)) is not None
    }


def add_samples(samples: Sequence[str | Path], image: gr.Image) -> None:
    """Adds sample images to the page; clicking one puts it into ``image``.

    They are copied, so that addresses on the page do not reveal where the package is installed.
    ``gr.Examples`` would replace ``image`` by a component with Gradio's preprocessing.
    """
    folder = Path(image.GRADIO_CACHE, f'{SAMPLES}{uuid.uuid4().hex}')
    folder.mkdir(parents=True)
    copies = [shutil.copy(sample, folder) for sample in samples]
    gr.set_static_paths([folder])
    gallery = gr.Dataset(components=[image], samples=[[copy] for copy in copies], type='index',
                         label='Or choose a sample', elem_id='instbox-samples')
    gallery.click(lambda index: copies[index], gallery, image, show_progress='hidden',
                  api_visibility='private')


def find_samples() -> list[Path]:
    """The sample images that come with the package, sorted by name."""
    return sorted((index_root() / 'demo' / 'samples').glob('*.jpg'))
