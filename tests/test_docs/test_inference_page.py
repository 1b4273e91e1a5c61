"""Every example of docs/inference.md runs, in the order of the page, on a small random model."""
import io
import json
import re
import shlex
import urllib.request
from pathlib import Path

import cv2
import mmengine
import numpy as np
import PIL.Image
import pytest
import torch
from click.testing import CliRunner
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.apis import init_model
from mmseg.registry import MODELS

from mmseg_instbox.apis import (
    inst_box_inferencer,
    model_loading,
    to_supervision,
    write_results,
)
from mmseg_instbox.apis.formats import FORMATS
from mmseg_instbox.cli.main import COMMANDS, cli
from mmseg_instbox.engine import config_to_json, find_model, load_config
from mmseg_instbox.utils.image_header import FORMATS as IMAGE_FORMATS

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'inference.md'
NAME = 'instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160'
NOT_RUN = ('pip install', 'instbox serve', 'instbox info')  # long; they have tests of their own
EXPECTED = {  # number of predictions of each row of the table of inputs
    'path': 1, 'address': 1, 'array': 1, 'PIL': 1, 'list': 2, 'folder': 3, 'pattern': 4,
    'video': 5, 'generator': 5}


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the table in a section, without its first two lines."""
    section = PAGE.read_text().split(f'\n## {heading}\n')[1].split('\n## ')[0]
    lines = [line for line in section.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[2:]]


def snippets() -> list[tuple[str, str]]:
    """Language and text of the examples of the page, in order: blocks, their commands, cells."""
    found = []
    for block, lines, row in re.findall(
            r'```(python|bash)\n(.*?)```|^(\|[^\n]*\|)$', PAGE.read_text(), re.S | re.M):
        if block == 'bash':
            found += [('bash', line) for line in lines.splitlines()]
        elif block:
            found.append(('python', lines))
        elif '(' in (cell := row.split(' | ')[1].strip(' |')) and cell.startswith('`'):
            found.append(('python', cell.strip('`')))
    return found


def run(language: str, text: str, names: dict) -> object:
    """The value of an example, an error instead of it, or the result of a command."""
    try:
        if language == 'bash':
            return None if text.startswith(NOT_RUN) else CliRunner().invoke(
                cli, shlex.split(text, comments=True)[1:])
        if '\n' in text:
            exec(text, names)
            return None
        value = eval(text, names)
        return list(value) if hasattr(value, '__next__') else value
    except Exception as error:
        return error


@pytest.fixture(scope='module')
def results(tmp_path_factory, tiny_config) -> dict[str, object]:
    """What each example gave, in a folder with the files that the page speaks of."""
    init_default_scope('mmseg')
    MMLogger.get_current_instance()  # its handler shall outlive the streams of a single command
    folder = tmp_path_factory.mktemp('page')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_files(tiny_config)
        patch.setattr(urllib.request, 'urlopen',
                      lambda *_, **__: io.BytesIO(Path('photo.jpg').read_bytes()))
        for module in (model_loading, inst_box_inferencer):
            patch.setattr(module, 'default_weights',
                          lambda: Path('work_dirs/my_config/iter_2000.pth').resolve())
        names = dict(cv2=cv2, PIL=PIL, init_model=init_model, write_results=write_results,
                     to_supervision=to_supervision, name=NAME, weights='shapes.pth',
                     frames=[cv2.imread('photo.jpg')] * 5)
        given = {}
        for language, text in snippets():
            if text.startswith('write_results') and 'samples' not in names:
                names['samples'] = list(names['inferencer'].stream('photos'))
                names['meta'] = names['inferencer'].dataset_meta
            given[text] = run(language, text, names)
            if text.startswith('write_results(') and '\n' not in text:
                given[text] = [str(path.relative_to(folder / 'out'))
                               for path in (folder / 'out').rglob('*')]
        given['files'] = {str(path.relative_to(folder)) for path in folder.rglob('*')}
    return given


def make_files(tiny_config: Path) -> None:
    """Pictures, a video, and a random model."""
    rng = np.random.default_rng(0)
    for path, size in (('photo.jpg', (64, 80)), ('photos/a.jpg', (64, 64)),
                       ('photos/b.jpg', (48, 64)), ('photos/c d.jpg', (64, 48)),
                       ('photos/deep/a.jpg', (64, 64)), ('aerial.png', (200, 300))):
        mmengine.mkdir_or_exist(str(Path(path).parent))
        blocks = rng.integers(0, 256, (13, 20, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        cv2.imwrite(path, blocks[:size[0], :size[1]])
    video = cv2.VideoWriter('clip.mp4', cv2.VideoWriter_fourcc(*'mp4v'), 5, (64, 64))
    for number in range(5):
        video.write(np.roll(cv2.imread('photos/a.jpg'), 4 * number, axis=1))
    video.release()
    Path('my_labelme_folder').mkdir()
    outline = dict(label='cat', shape_type='polygon', points=[[4, 4], [40, 4], [40, 40], [4, 40]])
    for name in 'ab':
        cv2.imwrite(f'my_labelme_folder/{name}.jpg', blocks[:64, :64])
        Path(f'my_labelme_folder/{name}.json').write_text(json.dumps(dict(
            imagePath=f'{name}.jpg', imageWidth=64, imageHeight=64, shapes=[outline])))
    Path('my_config.py').write_text(tiny_config.read_text())
    Path('work_dirs/my_config').mkdir(parents=True)
    save_model('my_config.py', 'work_dirs/my_config/iter_2000.pth')
    save_model(find_model(NAME)[0], 'shapes.pth')


def save_model(config: str, file: str) -> None:
    """Save random weights as a training saves its own."""
    cfg = load_config(str(config))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=10)  # sure of its categories
    classes = cfg.test_dataloader.dataset.get('metainfo', {}).get('classes')
    meta = dict(config_json=config_to_json(cfg))
    if classes:
        meta['dataset_meta'] = dict(classes=list(classes), thing_classes=list(classes[1:]),
                                    palette=[[0, 0, 0], [200, 0, 0], [0, 0, 200]])
    torch.save(dict(state_dict=model.state_dict(), meta=meta), file)


@pytest.mark.parametrize('language, text', snippets())
def test_the_example_runs(language, text, results):
    given = results[text]
    if isinstance(given, Exception):
        raise given
    if language == 'bash' and given is not None:
        assert given.exit_code == 0, given.output
        assert shlex.split(text)[1] in COMMANDS


def test_there_is_an_example_of_every_input_and_format():
    assert len(rows('What goes in')) == len(EXPECTED)
    formats = [example for _, example, *_ in rows('Formats of other programs')]
    for kind in FORMATS:
        assert sum(f"'{kind}'" in example for example in formats) == 1
    assert len(formats) == len(FORMATS) + 1  # supervision
    named = re.search(r'Images may be (.*?), with 8 bits', PAGE.read_text(), re.S)[1].lower()
    assert all(kind.lower() in named.replace('jpeg 2000', 'jpeg2000') for kind in IMAGE_FORMATS)


@pytest.mark.parametrize('kind, example', [row[:2] for row in rows('What goes in')])
def test_each_input_gives_its_predictions(kind, example, results):
    predictions = results[example.strip('`')]['predictions']
    assert len(predictions) == next(EXPECTED[word] for word in EXPECTED if kind.startswith(word))
    assert all({'label_names', 'scores', 'bboxes', 'masks'} <= set(each) for each in predictions)


@pytest.mark.parametrize('example, written', [row[1:3] for row in rows('Formats of other programs')
                                              if row[1].startswith('`write')])
def test_each_format_writes_the_files_that_the_page_names(example, written, results):
    files = re.findall(r'`([\w/]+\.(?:json|png|txt|yaml))`', written)
    assert files
    for name in ('a', 'b', 'c d'):
        assert {file.replace('NAME', name) for file in files} <= set(results[example.strip('`')])


def test_results_are_what_the_page_says(results):
    stream = results["inferencer.stream('photos', batch_size=2)"]
    assert [sample.name for sample in stream] == ['a', 'b', 'c d']
    pictures = results["inferencer('photos', return_vis=True)['visualization']"]
    assert len(pictures) == 3 and all(picture.shape[2] == 3 for picture in pictures)
    samples = results["inferencer('photos', return_datasamples=True)['predictions']"]
    assert all(sample.pred_instances.masks.shape[1:] == sample.ori_shape for sample in samples)
    assert len(results['to_supervision(sample, meta)']) > 0  # the random model finds something


def test_files_are_where_the_page_says(results):
    assert {'found/vis/a.jpg', 'found/preds/a.json', 'annotated.mp4', 'converted/a.json',
            'found/coco/annotations.json', 'found/labelme/photos/a.json', 'found/vis/photo.jpg',
            'large/coco/annotations.json', 'converted/yolo/labels/a.txt',
            'converted/panoptic/panoptic.json'} <= results['files']
