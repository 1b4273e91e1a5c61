"""LabelMe's file, read as LabelMe reads it.

The package labelme needs a display's libraries, so its reader is written again here: what it
refuses, and how it draws a polygon (``labelme/_label_file.py``, ``labelme/utils/shape.py``).
"""
import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmseg_instbox.apis.formats import LabelMeWriter

TYPES = dict(label=str, points=list, shape_type=str, flags=dict, description=str, group_id=int)


def read_labelme(file: Path) -> tuple[list[dict], np.ndarray]:
    """The shapes and the image (H, W, 3); ValueError for what LabelMe refuses."""
    content = json.loads(file.read_text(encoding='utf-8'))
    assert content['imageData'] is None and isinstance(content['version'], str)
    with Image.open(file.parent / PurePosixPath(content['imagePath'])) as picture:
        image = np.array(picture)
    if image.shape[:2] != (content['imageHeight'], content['imageWidth']):
        raise ValueError('imageHeight or imageWidth mismatch')
    for shape in content['shapes']:
        wrong = [key for key, kind in TYPES.items() if not isinstance(shape[key], kind)]
        points = shape['points']
        if wrong or not points or shape['mask'] is not None or not all(
                len(point) == 2 and all(isinstance(x, int | float) for x in point)
                for point in points):
            raise ValueError(f'{wrong} or the points are refused')
    return content['shapes'], image


def draw(shapes: list[dict], size: tuple[int, int]) -> dict[int, np.ndarray]:
    """The mask of each group; a pixel of several polygons belongs to each of them."""
    masks = {}
    for shape in shapes:
        assert shape['shape_type'] == 'polygon' and len(shape['points']) > 2
        canvas = Image.new('L', size[::-1])
        ImageDraw.Draw(canvas).polygon([tuple(each) for each in shape['points']], outline=1, fill=1)
        mask = np.array(canvas, dtype=bool)
        masks[shape['group_id']] = masks.get(shape['group_id'], False) | mask
    return masks


@pytest.fixture
def picture(tmp_path) -> Path:
    """The image of the scene."""
    folder = tmp_path / 'my pictures'
    folder.mkdir()
    Image.new('RGB', (80, 60)).save(folder / 'Zürich.jpg')
    return folder / 'Zürich.jpg'


@pytest.fixture
def shapes(tmp_path, sample, meta):
    """A function that gives the shapes of the scene from a score on."""
    def shapes(score_thr: float = 0.) -> list[dict]:
        with LabelMeWriter(tmp_path, meta, score_thr) as writer:
            writer.add(sample, 'scene')
        return json.loads((tmp_path / 'scene.json').read_text())['shapes']
    return shapes


@pytest.mark.parametrize('out', ['labels', 'my pictures', 'deep/in/labels'])
def test_labelme_draws_the_masks(out, tmp_path, picture, sample, masks, meta):
    with LabelMeWriter(tmp_path / out, meta) as writer:
        writer.add(sample, 'Zürich', str(picture))
    shapes, image = read_labelme(tmp_path / out / 'Zürich.json')
    assert image.shape == (60, 80, 3)
    drawn = draw(shapes, (60, 80))
    assert list(drawn) == [1, 2, 3, 4]
    assert all(np.array_equal(drawn[number], mask) for number, mask in enumerate(masks, start=1))


def test_parts_share_a_group_and_holes_a_polygon(shapes):
    shapes = shapes()
    assert [shape['group_id'] for shape in shapes] == [1, 2, 2, 3, 4]
    assert [shape['label'] for shape in shapes] == ['dog', 'cat', 'cat', 'dog', 'cat']
    assert [shape['description'] for shape in shapes][:2] == ['score 0.900', 'score 0.800']


def test_points_are_centres_of_pixels(shapes):
    (pixel, ) = [each for each in shapes() if each['group_id'] == 3]
    assert pixel['points'] == [[79.5, 59.5]] * 3


def test_an_image_without_file_is_expected_beside(tmp_path, sample, meta):
    with LabelMeWriter(tmp_path, meta) as writer:
        writer.add(sample, '000001')
    Image.new('RGB', (80, 60)).save(tmp_path / '000001.png')
    assert len(read_labelme(tmp_path / '000001.json')[0]) == 5


def test_a_relative_path_leads_from_the_file_to_the_image(tmp_path, picture, sample, meta,
                                                          monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LabelMeWriter('out/labels', meta) as writer:
        writer.add(sample, 'x', 'my pictures/Zürich.jpg')
        writer.add(sample, 'y', 'https://example.org/y.jpg')
    assert len(read_labelme(tmp_path / 'out' / 'labels' / 'x.json')[0]) == 5
    content = json.loads((tmp_path / 'out' / 'labels' / 'y.json').read_text())
    assert content['imagePath'] == 'https://example.org/y.jpg'


def test_low_scores_are_left_out(shapes):
    assert {each['label'] for each in shapes(.85)} == {'dog'}
