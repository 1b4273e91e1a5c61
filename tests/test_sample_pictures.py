"""The photographs that travel with the repository."""
import re

import cv2
import numpy as np
import pytest

SIZES = dict(astronaut=(512, 512), chelsea=(300, 451))


def test_each_is_small_and_has_a_licence(repo):
    folder = repo / 'demo' / 'samples'
    pictures = sorted(folder.glob('*.jpg'))
    assert [path.stem for path in pictures] == sorted(SIZES)
    for path in pictures:
        assert path.stat().st_size <= 100_000
        assert f'`{path.name}`' in (folder / 'README.md').read_text()
        assert cv2.imread(str(path)).shape[:2] == SIZES[path.stem]


@pytest.mark.parametrize('name', SIZES)
def test_they_are_those_of_scikit_image(repo, name):
    data = pytest.importorskip('skimage.data')
    ours = cv2.imread(str(repo / 'demo' / 'samples' / f'{name}.jpg'))[..., ::-1].astype(int)
    assert np.abs(ours - getattr(data, name)()).mean() < 4


def test_photographs_of_the_docs_are_drawn_and_have_a_licence(repo):
    folder = repo / 'docs' / 'images' / 'photographs'
    script = (repo / 'tools' / 'make_docs_images.py').read_text()
    table = (folder / 'README.md').read_text()
    rows = re.findall(r'^\| `(\S+)`, (\d+) x (\d+) \| (.*) \|$', table, re.M)
    assert [row[0] for row in rows] == sorted(path.name for path in folder.glob('*.jpg'))
    for name, width, height, text in rows:
        _, author, origin, licence, _ = text.split(' | ')
        assert author and origin
        assert licence.startswith(('CC0', '[CC BY 4.0](https:', 'public domain'))
        assert (folder / name).stat().st_size <= 100_000
        assert cv2.imread(str(folder / name)).shape[:2] == (int(height), int(width))
        assert f"'{name.removesuffix('.jpg')}'" in script
