"""``instbox check`` and ``instbox convert``."""
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from mmseg_instbox.datasets import read_annotations
from mmseg_instbox.datasets.coco_masks import segmentation_rle
from mmseg_instbox.datasets.voc_layout import write_mask


@pytest.fixture
def data(tmp_path):
    """Three images; a square that a smaller one hides in part, an object without mask, and one
    image without objects."""
    for name in ('a.jpg', 'b.jpg', 'c.jpg'):
        Image.new('RGB', (60, 40)).save(tmp_path / name)
    annotations = [
        dict(id=1, image_id=1, category_id=1, segmentation=[[0, 0, 20, 0, 20, 20, 0, 20]]),
        dict(id=2, image_id=1, category_id=2, segmentation=[[0, 0, 10, 0, 10, 20, 0, 20]]),
        dict(id=3, image_id=1, category_id=2, bbox=[1, 1, 5, 5]),
        dict(id=4, image_id=3, category_id=2, segmentation=[[0, 0, 9, 0, 9, 1, 0, 1]])]
    content = dict(
        images=[dict(id=i, file_name=name, width=60, height=40)
                for i, name in ((1, 'a.jpg'), (2, 'b.jpg'), (3, 'c.jpg'))],
        annotations=annotations, categories=[dict(id=1, name='cell'), dict(id=2, name='dust')])
    (tmp_path / 'data.json').write_text(json.dumps(content))
    return tmp_path


def test_counts_and_problems_are_listed(succeed, data):
    output = succeed('check', data, '--pictures', data / 'out').output
    for text in ('all: 3 images, 3 objects of 2 categories', '60 x 40 (3)',
                 'dust hides 50% of the pixels of cell', 'box only (1):',
                 'data.json: annotation 3 has a box and no mask; left out.',
                 'data.json: b.jpg has no objects.', '2 problems. A training is possible.'):
        assert text in output
    drawings = sorted(file.relative_to(data / 'out').as_posix()
                      for file in (data / 'out').rglob('*.jpg'))
    assert drawings == ['problems/box only/all_a.jpg.jpg', 'problems/no objects/all_b.jpg.jpg',
                        'samples/all_a.jpg.jpg', 'samples/all_b.jpg.jpg', 'samples/all_c.jpg.jpg']


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
    assert result.exit_code == 1 and 'A training is not possible: ' in result.output


@pytest.mark.parametrize('names', [('test', ), ('val', 'test')])
def test_data_without_a_part_to_train_on_end_with_an_exit_code(instbox, data, names):
    content = json.loads((data / 'data.json').read_text())
    for name in names:
        kept = content['annotations'] if len(names) > 1 else []
        (data / f'{name}.json').write_text(json.dumps(content | dict(annotations=kept)))
    (data / 'data.json').unlink()
    result = instbox('check', data)
    assert result.exit_code == 1 and 'A training is not possible: ' in result.output


def test_hidden_objects_are_looked_for_in_as_many_pixels_as_seconds_allow(succeed, data,
                                                                         monkeypatch):
    content = json.loads((data / 'data.json').read_text())
    content['images'].reverse()  # the last one has the hidden object
    (data / 'data.json').write_text(json.dumps(content))
    assert 'dust hides 50% of' in succeed('check', data).output
    monkeypatch.setattr('mmseg_instbox.apis.data_check.MAX_PIXELS', 60 * 40)
    assert 'dust hides' not in succeed('check', data).output


def test_what_is_wrong_with_the_parts_is_listed(succeed, data):
    for name in ('train.json', 'val.json'):
        (data / name).write_bytes((data / 'data.json').read_bytes())
    (data / 'data.json').unlink()
    output = succeed('check', data).output
    assert '  3 images are in both train and val' in output and 'is possible.' in output


def test_a_training_is_possible_where_one_would_start(instbox, data):
    content = json.loads((data / 'data.json').read_text())
    content['annotations'].pop()
    (data / 'data.json').write_text(json.dumps(content))
    result = instbox('check', data)
    assert result.exit_code == 1 and 'has one image with objects, which is not' in result.output


def test_thin_images_are_drawn(succeed, data):
    content = json.loads((data / 'data.json').read_text())
    for image, size in zip(content['images'], ((3000, 1), (1, 3000)), strict=False):
        Image.new('RGB', size).save(data / image['file_name'])
        image |= dict(width=size[0], height=size[1])
    (data / 'data.json').write_text(json.dumps(content))
    succeed('check', data, '--pictures', data / 'out')
    assert len([*(data / 'out' / 'samples').iterdir()]) == 3


def test_what_a_terminal_cannot_show_is_escaped(data, repo):
    content = json.loads((data / 'data.json').read_text())
    content['categories'][0]['name'] = '細胞'
    (data / 'data.json').write_text(json.dumps(content))
    done = subprocess.run(
        [sys.executable, '-m', 'mmseg_instbox.cli', 'check', str(data)], capture_output=True,
        text=True, env=dict(os.environ, PYTHONPATH=str(repo), PYTHONIOENCODING='cp1252'))
    assert done.returncode == 0 and r'\u7d30\u80de' in done.stdout, done.stderr


@pytest.fixture
def coco_file(tmp_path):
    """One picture with two squares, of which the second has a low score."""
    masks = np.zeros((2, 20, 30), np.uint8)
    masks[0, 2:8, 3:12] = masks[1, 10:18, 15:28] = 1
    runs = [mask_tools.encode(np.asfortranarray(mask)) for mask in masks]
    annotations = [
        dict(id=i, image_id=7, category_id=3, iscrowd=0, score=score, area=float(mask.sum()),
             bbox=mask_tools.toBbox(code).tolist(),
             segmentation=dict(size=[20, 30], counts=code['counts'].decode()))
        for i, (mask, code, score) in enumerate(zip(masks, runs, (0.9, 0.1), strict=True), 1)]
    content = dict(images=[dict(id=7, file_name='a.jpg', height=20, width=30)],
                   categories=[dict(id=3, name='blue: a square')], annotations=annotations)
    file = tmp_path / 'coco.json'
    file.write_text(json.dumps(content))
    return file, masks


def test_masks_come_out_as_they_went_in(succeed, coco_file, tmp_path):
    file, masks = coco_file
    out = tmp_path / 'out'
    done = succeed('convert', file, '--format', 'png,labelme,yolo', '--out', out, '--images',
                   tmp_path)
    assert all(str(out / name) in done.output for name in ('png', 'labelme', 'yolo'))
    ids = np.array(Image.open(out / 'png' / 'SegmentationObject' / 'a.png'))
    assert np.array_equal(ids, masks[0] + 2 * masks[1])
    found = json.loads((out / 'labelme' / 'a.json').read_text())
    assert [each['label'] for each in found['shapes']] == ['blue: a square'] * 2
    assert (out / 'labelme' / found['imagePath']).resolve() == tmp_path / 'a.jpg'
    assert len((out / 'yolo' / 'labels' / 'a.txt').read_text().splitlines()) == 2


def test_low_scores_are_left_out(succeed, coco_file, tmp_path):
    succeed('convert', coco_file[0], '--to', 'coco', '--out', tmp_path, '--score-thr', 0.5)
    found = json.loads((tmp_path / 'coco' / 'annotations.json').read_text())
    assert [each['score'] for each in found['annotations']] == [0.9]


def test_a_wrong_file_is_answered_with_one_sentence(fails, tmp_path):
    (tmp_path / 'text.json').write_text('no JSON')
    for name in ('gone.json', 'text.json'):
        sentence = fails('convert', tmp_path / name, '--format', 'png', '--out', tmp_path / 'out')
        assert name in sentence and 'unexpected' not in sentence
    assert not (tmp_path / 'out').exists()


def test_labels_of_a_tool_become_those_of_another(succeed, tmp_path):
    Image.new('RGB', (60, 40)).save(tmp_path / 'a.jpg')
    shapes = [dict(label='cell', shape_type='polygon', points=[[2, 2], [22, 2], [22, 32], [2, 32]]),
              dict(label='dust', shape_type='point', points=[[1, 1]])]
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        shapes=shapes, imagePath='a.jpg', imageHeight=40, imageWidth=60)))
    done = succeed('convert', tmp_path, '--format', 'coco,yolo', '--out', tmp_path / 'out')
    assert '1 problems of all' in done.output
    found = json.loads((tmp_path / 'out' / 'coco' / 'annotations.json').read_text())
    assert [(row['id'], row['name']) for row in found['categories']] == [(1, 'cell')]
    assert found['annotations'][0]['bbox'] == [2, 2, 20, 30]
    label, *values = (tmp_path / 'out' / 'yolo' / 'labels' / 'a.txt').read_text().split()
    xs = [60 * float(value) for value in values[::2]]
    assert label == '0' and 2 <= min(xs) < 3 and 21 <= max(xs) < 22


@pytest.mark.parametrize('kind', ['coco', 'labelme', 'yolo', 'png'])
def test_what_convert_writes_it_reads(succeed, coco_file, tmp_path, kind):
    file, masks = coco_file
    images = tmp_path / 'out' / kind / ('JPEGImages' if kind == 'png' else 'images')
    images.mkdir(parents=True)
    Image.new('RGB', (30, 20)).save(images / 'a.jpg')
    succeed('convert', file, '--format', kind, '--out', tmp_path / 'out', '--images', images)
    again = tmp_path / 'again'
    succeed('convert', tmp_path / 'out' / kind, '--format', 'png,coco', '--out', again)
    ids = np.array(Image.open(again / 'png' / 'SegmentationObject' / 'a.png'))
    assert all(np.array_equal(ids == number, mask > 0) for number, mask in enumerate(masks, 1))
    found = json.loads((again / 'coco' / 'annotations.json').read_text())
    assert [row['name'] for row in found['categories']] == ['blue: a square']


def test_it_starts_without_torch_and_mmseg(coco_file, tmp_path):
    words = ['convert', str(coco_file[0]), '--format', 'coco,png,labelme,yolo,panoptic',
             '--out', str(tmp_path / 'out')]
    code = f"""import sys
from mmseg_instbox.cli.main import cli
cli({words}, standalone_mode=False)
needless = 'torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet', 'matplotlib', 'pandas', 'scipy', 'rich'
sys.exit(', '.join({{*needless}} & {{*sys.modules}}))"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stderr.strip() == '' and done.stdout.count('Written') == 5


def test_videos_and_tracks_stay_in_coco(succeed, coco_file, tmp_path):
    file, _ = coco_file
    content = json.loads(file.read_text())
    content['videos'] = [dict(id=4, name='other'), dict(id=9, name='clip')]
    content['images'][0] |= dict(video_id=9, frame_id=0)
    content['annotations'][1]['track_id'] = 3
    file.write_text(json.dumps(content))
    succeed('convert', file, '--format', 'coco', '--out', tmp_path / 'out')
    found = json.loads((tmp_path / 'out' / 'coco' / 'annotations.json').read_text())
    assert found['videos'] == [dict(id=9, name='clip')]
    assert (found['images'][0]['video_id'], found['images'][0]['frame_id']) == (9, 0)
    assert [each.get('track_id') for each in found['annotations']] == [None, 3]


def test_categories_that_count_from_0_keep_order_and_ids(succeed, coco_file, tmp_path):
    file, _ = coco_file
    content = json.loads(file.read_text())
    content['categories'] = [dict(id=0, name='square'), dict(id=1, name='disc')]
    for each, category in zip(content['annotations'], (1, 0), strict=True):
        each['category_id'] = category
    file.write_text(json.dumps(content))
    succeed('convert', file, '--format', 'coco', '--out', tmp_path / 'out')
    found = json.loads((tmp_path / 'out' / 'coco' / 'annotations.json').read_text())
    assert [(row['id'], row['name']) for row in found['categories']] == [(0, 'square'), (1, 'disc')]
    assert [each['category_id'] for each in found['annotations']] == [1, 0]


SHAPES = dict(cell=[[2, 2], [22, 2], [22, 32], [2, 32]], dust=[[30, 5], [50, 5], [50, 30], [30, 9]])


def write_source(folder, kind):
    """Two objects of two categories on an image, as a tool of this kind writes them."""
    masks = [np.zeros((40, 60), np.uint8) for _ in SHAPES]
    for mask, points in zip(masks, SHAPES.values(), strict=True):
        cv2.fillPoly(mask, [np.array(points)], 1)
    labels = masks[0] + 2 * masks[1]
    if kind == 'coco':
        save_json(folder / 'a.json', dict(
            images=[dict(id=1, file_name='a.jpg', width=60, height=40)],
            categories=[dict(id=i, name=name) for i, name in enumerate(SHAPES)],
            annotations=[dict(id=i, image_id=1, category_id=i, segmentation=[sum(points, [])])
                         for i, points in enumerate(SHAPES.values())]))
    elif kind == 'labelme':
        save_json(folder / 'a.json', dict(imagePath='a.jpg', imageHeight=40, imageWidth=60, shapes=[
            dict(label=name, points=points) for name, points in SHAPES.items()]))
    elif kind == 'via':
        save_json(folder / 'via.json', {'a.jpg1': dict(filename='a.jpg', regions=[
            dict(region_attributes=dict(name=name), shape_attributes=dict(
                name='polygon', all_points_x=[x for x, _ in points],
                all_points_y=[y for _, y in points])) for name, points in SHAPES.items()])})
    elif kind == 'yolo':
        (folder / 'classes.txt').write_text('\n'.join(SHAPES))
        (folder / 'labels').mkdir()
        (folder / 'labels' / 'a.txt').write_text('\n'.join(
            ' '.join(map(str, [i, *(np.array(points) / [60, 40]).ravel()]))
            for i, points in enumerate(SHAPES.values())))
    elif kind == 'voc':
        (folder / 'class_names.txt').write_text('\n'.join(('background', *SHAPES)))
        for name in ('SegmentationClass', 'SegmentationObject'):
            write_mask(folder / name / 'a.png', labels)
    else:
        (folder / 'classes.txt').write_text('\n'.join(SHAPES))
        Image.fromarray(np.array([0, 1001, 2001], np.uint16)[labels]).save(folder / 'a_mask.png')


def save_json(file, content):
    file.write_text(json.dumps(content))


def read_masks(found):
    """The mask of the object of each category."""
    [coco] = [part.coco for part in found.values()]
    names = {row['id']: row['name'] for row in coco['categories']}
    codes = {names[each['category_id']]: segmentation_rle(each['segmentation'], (40, 60), '')
             for each in coco['annotations']}
    assert len(coco['annotations']) == len(codes) and len(coco['images']) == 1
    return {name: mask_tools.decode(code) for name, code in sorted(codes.items())}


@pytest.mark.parametrize('kind', ['coco', 'labelme', 'via', 'yolo', 'voc', 'masks'])
def test_each_format_becomes_each_other(succeed, tmp_path, kind):
    source, out = tmp_path / 'source', tmp_path / 'out'
    (source / 'JPEGImages').mkdir(parents=True)
    Image.new('RGB', (60, 40)).save(source / 'JPEGImages' / 'a.jpg')
    write_source(source, kind)
    expected = read_masks(read_annotations(source))
    assert [*expected] == [*SHAPES] and all(mask.any() for mask in expected.values())
    succeed('convert', source, '--format', 'coco,labelme,yolo,png,panoptic', '--out', out)
    assert [*out.joinpath('panoptic').rglob('*.png')]
    for target in ('coco', 'labelme', 'yolo', 'png'):
        again = read_masks(read_annotations(out / target, images=source / 'JPEGImages'))
        assert [*again] == [*expected]
        assert all(np.array_equal(again[name], expected[name]) for name in again), target
