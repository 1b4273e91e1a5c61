import json
import os
import subprocess
import sys

import pytest
from PIL import Image


@pytest.fixture
def data(tmp_path):
    """Two images; a square that a smaller one hides in part, and an object without mask."""
    for name in ('a.jpg', 'b.jpg'):
        Image.new('RGB', (60, 40)).save(tmp_path / name)
    annotations = [
        dict(id=1, image_id=1, category_id=1, segmentation=[[0, 0, 20, 0, 20, 20, 0, 20]]),
        dict(id=2, image_id=1, category_id=2, segmentation=[[0, 0, 10, 0, 10, 20, 0, 20]]),
        dict(id=3, image_id=1, category_id=2, bbox=[1, 1, 5, 5])]
    content = dict(
        images=[dict(id=i, file_name=name, width=60, height=40)
                for i, name in ((1, 'a.jpg'), (2, 'b.jpg'))],
        annotations=annotations, categories=[dict(id=1, name='cell'), dict(id=2, name='dust')])
    (tmp_path / 'data.json').write_text(json.dumps(content))
    return tmp_path


def test_counts_and_problems_are_listed(succeed, data):
    output = succeed('check', data, '--pictures', data / 'out').output
    for text in ('all: 2 images, 2 objects of 2 categories', '60 x 40 (2)',
                 'dust hides 50% of the pixels of cell', 'box only (1):',
                 'data.json: annotation 3 has a box and no mask; left out.',
                 'data.json: b.jpg has no objects.', '2 problems. A training is possible.'):
        assert text in output
    drawings = sorted(file.relative_to(data / 'out').as_posix()
                      for file in (data / 'out').rglob('*.jpg'))
    assert drawings == ['problems/box only/all_a.jpg.jpg', 'problems/no objects/all_b.jpg.jpg',
                        'samples/all_a.jpg.jpg', 'samples/all_b.jpg.jpg']


def test_objects_that_others_hide_are_problems(succeed, data):
    content = json.loads((data / 'data.json').read_text())
    content['annotations'][1]['segmentation'] = [[0, 0, 19.6, 0, 19.6, 19.6, 0, 19.6]]
    content['annotations'][1]['area'] = 1
    (data / 'data.json').write_text(json.dumps(content))
    assert 'a.jpg: annotation 1 (cell) is hidden to 100% under others.' in succeed(
        'check', data).output


def test_data_without_objects_ends_with_an_exit_code(instbox, data):
    content = json.loads((data / 'data.json').read_text())
    (data / 'data.json').write_text(json.dumps(content | dict(annotations=[])))
    result = instbox('check', data)
    assert result.exit_code == 1 and 'A training is not possible.' in result.output


@pytest.mark.parametrize('names', [('test', ), ('val', 'test')])
def test_data_without_a_part_to_train_on_end_with_an_exit_code(instbox, data, names):
    content = json.loads((data / 'data.json').read_text())
    for name in names:
        kept = content['annotations'] if len(names) > 1 else []
        (data / f'{name}.json').write_text(json.dumps(content | dict(annotations=kept)))
    (data / 'data.json').unlink()
    result = instbox('check', data)
    assert result.exit_code == 1 and 'A training is not possible.' in result.output


def test_thin_images_are_drawn(succeed, data):
    content = json.loads((data / 'data.json').read_text())
    for image, size in zip(content['images'], ((3000, 1), (1, 3000)), strict=True):
        Image.new('RGB', size).save(data / image['file_name'])
        image |= dict(width=size[0], height=size[1])
    (data / 'data.json').write_text(json.dumps(content))
    succeed('check', data, '--pictures', data / 'out')
    assert len([*(data / 'out' / 'samples').iterdir()]) == 2


def test_what_a_terminal_cannot_show_is_escaped(data, repo):
    content = json.loads((data / 'data.json').read_text())
    content['categories'][0]['name'] = '細胞'
    (data / 'data.json').write_text(json.dumps(content))
    done = subprocess.run(
        [sys.executable, '-m', 'mmseg_instbox.cli', 'check', str(data)], capture_output=True,
        text=True, env=dict(os.environ, PYTHONPATH=str(repo), PYTHONIOENCODING='cp1252'))
    assert done.returncode == 0 and r'\u7d30\u80de' in done.stdout, done.stderr
