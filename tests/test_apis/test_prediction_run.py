import os

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmseg_instbox.apis.prediction_job import read_videos, split_videos
from mmseg_instbox.apis.prediction_run import PredictionRun
from mmseg_instbox.utils.inputs import InputImage

SETTINGS = dict(weights='0', precision='fp32')


def prediction():
    """A prediction of one instance."""
    sample = SegDataSample()
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, 8, 8, dtype=torch.int64))
    sample.pred_instances = InstanceData(
        masks=torch.ones(1, 8, 8, dtype=torch.bool), labels=torch.tensor([0]),
        scores=torch.tensor([0.5]), bboxes=torch.tensor([[0., 0, 8, 8]]))
    return sample


@pytest.fixture
def image(tmp_path):
    file = tmp_path / 'a.jpg'
    file.write_bytes(b'picture')
    return InputImage('a', str(file), lambda: None)


def test_an_image_is_done_until_it_changes(image, tmp_path):
    out = tmp_path / 'out'
    run = PredictionRun(out, SETTINGS)
    assert not run.is_done(image)
    run.add(image, prediction(), drawn=0.2)
    assert run.is_done(image) and run.drawn(image) == 0.2
    again = PredictionRun(out, SETTINGS)
    assert again.is_done(image) and again.sample(image).img_path == image.path
    os.utime(image.path, ns=(1, 1))
    assert not PredictionRun(out, SETTINGS).is_done(image)


def test_an_image_of_another_folder_is_another_image(image, tmp_path):
    run = PredictionRun(tmp_path / 'out', SETTINGS)
    run.add(image, prediction())
    (tmp_path / 'b').mkdir()
    other = tmp_path / 'b' / 'a.jpg'
    other.write_bytes(b'picture')
    again = PredictionRun(tmp_path / 'out', SETTINGS)
    assert not again.is_done(InputImage('a', str(other), lambda: None))


def test_other_settings_are_refused_or_start_anew(image, tmp_path):
    PredictionRun(tmp_path / 'out', SETTINGS).add(image, prediction())
    other = dict(SETTINGS, precision='bf16')
    with pytest.raises(ValueError, match='another precision: give another --out'):
        PredictionRun(tmp_path / 'out', other)
    assert PredictionRun(tmp_path / 'out', SETTINGS).is_done(image)
    assert not PredictionRun(tmp_path / 'out', other, overwrite=True).is_done(image)
    PredictionRun(tmp_path / 'out', other)


def test_half_a_record_is_none(image, tmp_path):
    run = PredictionRun(tmp_path / 'out', SETTINGS)
    left = tmp_path / 'out' / 'records' / '.a.json.x1'
    left.write_text('{"sou')
    assert not PredictionRun(tmp_path / 'out', SETTINGS).is_done(image) and not left.exists()
    assert not run.is_done(image)


def test_a_name_stays_in_the_folder(tmp_path):
    run = PredictionRun(tmp_path / 'out', SETTINGS)
    run.add(InputImage('../up', 'https://host/up.jpg', lambda: None), prediction())
    assert [file.parent.name for file in tmp_path.rglob('*up*')] == ['records']


def test_videos_are_told_from_pictures(tmp_path):
    for name in ('a.jpg', 'a.mp4', 'b.AVI', 'c.txt'):
        (tmp_path / name).touch()
    pictures, videos = split_videos([str(tmp_path / '*'), 'https://host/x.jpg', 'gone.mp4',
                                     str(tmp_path / 'a.mp4')])
    assert pictures == [str(tmp_path / 'a.jpg'), 'https://host/x.jpg', 'gone.mp4']
    assert [video.name for video in read_videos(videos)] == ['a_video', 'b_video', 'a_video_2']
    assert split_videos([str(tmp_path), str(tmp_path / '*.png')]) == (
        [str(tmp_path), str(tmp_path / '*.png')], [])
