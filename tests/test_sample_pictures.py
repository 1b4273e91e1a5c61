"""The sample pictures that travel with the repository."""
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
