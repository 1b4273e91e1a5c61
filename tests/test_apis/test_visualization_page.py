"""What docs/visualization.md says works as it stands."""
import cv2
import pytest

import mmseg_instbox.apis
from mmseg_instbox.utils import DEFAULT_SCORE_THR
from mmseg_instbox.visualization import PixelBoxVisualizer


@pytest.fixture(scope='module')
def python_blocks(repo):
    page = (repo / 'docs' / 'visualization.md').read_text()
    return [block.split('```')[0] for block in page.split('```python\n')[1:]]


def test_the_example_writes_a_picture_of_each_sample(
        python_blocks, inferencer, repo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'demo').symlink_to(repo / 'demo')
    monkeypatch.setattr(mmseg_instbox.apis, 'InstBoxInferencer', lambda: inferencer, raising=False)
    exec(compile(python_blocks[-1], 'docs/visualization.md', 'exec'), {})
    assert sorted(path.name for path in (tmp_path / 'inside').iterdir()) == [
        'astronaut.png', 'chelsea.png']
    assert cv2.imread(str(tmp_path / 'inside' / 'chelsea.png')).shape[1] == 4 * 451


def test_the_settings_are_those_of_the_visualizer(python_blocks):
    for block in python_blocks[:2]:
        lines = {}
        exec(block, lines)
        settings = dict(lines['visualizer'])
        assert settings.pop('type') == 'PixelBoxVisualizer'
        settings.pop('vis_backends', None)
        PixelBoxVisualizer('page', **settings)
    visualizer = PixelBoxVisualizer('page_2', stages=('votes', 'instances'), columns=4)
    assert visualizer.score_thr == DEFAULT_SCORE_THR == 0.3  # as the page says


def test_pictures_of_the_page_are_there_and_small(repo):
    page = (repo / 'docs' / 'visualization.md').read_text()
    names = [part.split(')')[0] for part in page.split('](images/')[1:]]
    assert len(names) == 2
    for name in names:
        assert (repo / 'docs' / 'images' / name).stat().st_size < 150_000
