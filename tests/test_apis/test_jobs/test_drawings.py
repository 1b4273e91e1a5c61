"""Drawings of a job, through the command that makes them."""
import json
import shutil

import cv2
import pytest
from click.testing import CliRunner

from mmseg_instbox.cli.main import cli


@pytest.fixture
def run(saved, folder, tmp_path):
    """A function that predicts ``folder`` into ``tmp_path / 'out'``."""

    def run(*more: object) -> str:
        done = CliRunner().invoke(
            cli, [*map(str, ['predict', folder / '*', '--model', saved, '--device', 'cpu', '--out',
                             tmp_path / 'out', *more])], prog_name='instbox')
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_images_are_drawn_once_for_a_score(run, folder, tmp_path):
    vis = tmp_path / 'out' / 'vis'
    assert '8 of 8 inputs are done' in run('--score-thr', 0)
    drawn = {file: file.stat().st_mtime_ns for file in vis.iterdir()}
    assert [file.name for file in sorted(drawn)] == [f'{number:03d}.jpg' for number in range(8)]
    first = vis / '000.jpg'
    before = first.read_bytes()
    (vis / '001.jpg').unlink()
    shutil.copy(folder / '000.jpg', folder / 'new.jpg')
    run('--score-thr', 0)
    assert len(list(vis.iterdir())) == 9 and first.stat().st_mtime_ns == drawn[first]
    run('--score-thr', 1)  # nothing is that certain
    assert first.read_bytes() != before
    run('--score-thr', 0)
    assert first.read_bytes() == before


@pytest.mark.parametrize('option', ['--no-drawings', '--no-pictures'])
def test_nothing_is_drawn_until_it_is_asked_for(run, tmp_path, option):
    run(option)
    assert not (tmp_path / 'out' / 'vis').exists()
    run()
    assert len(list((tmp_path / 'out' / 'vis').iterdir())) == 8


def test_videos_are_annotated_once_for_a_score(run, folder, tmp_path):
    for number in range(3, 8):
        (folder / f'{number:03d}.jpg').unlink()
    writer = cv2.VideoWriter(str(folder / 'film.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 64))
    for _ in range(2):
        writer.write(cv2.imread(str(folder / '000.jpg')))
    writer.release()
    film = tmp_path / 'out' / 'vis' / 'film_video.mp4'
    assert '4 of 4 inputs are done' in run('--no-drawings')
    assert not film.parent.exists()  # though its frames are predicted
    frames = json.loads((tmp_path / 'out' / 'coco' / 'annotations.json').read_text())['images']
    assert [each.get('frame_id') for each in frames] == [None] * 3 + [0, 1]
    run()
    first = film.stat().st_mtime_ns
    run()
    assert film.stat().st_mtime_ns == first
    run('--score-thr', 0)
    assert film.stat().st_mtime_ns > first


def test_large_images_are_drawn_on_a_reduced_canvas(run, tmp_path):
    drawing = tmp_path / 'out' / 'vis' / '000.jpg'
    run()
    size = cv2.imread(str(drawing)).shape[:2]
    run('--draw-size', 50)  # the images have 64 x 64 pixels
    assert size == (768, 768) and cv2.imread(str(drawing)).shape[:2] == (50, 50)
