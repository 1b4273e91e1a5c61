"""A video with its objects drawn in: whole, of the same size and length, in lasting colours.

An object keeps its number while it moves, hides for a while, or meets another.
"""
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmseg.structures import SegDataSample

from mmseg_instbox.apis import TrackColors, annotate_video
from mmseg_instbox.apis.video import frame_objects, write_frames
from mmseg_instbox.core.instances import InstanceMasks
from mmseg_instbox.utils.decoding import VideoFrames
from mmseg_instbox.visualization.drawing import instance_colors

SIZE = (96, 128)


class TwoSquares:
    """An inferencer that finds two squares, one moving right and one left; who is first changes."""

    dataset_meta = dict(thing_classes=('square', ))
    show_progress = False

    def __init__(self) -> None:
        self.number = 0

    def stream_with_images(self, frames, batch_size: int):
        """Each frame and its squares."""
        for frame in frames:
            places = [(4 + 3 * self.number, 8), (96 - 3 * self.number, 60)]
            masks = torch.zeros(2, *SIZE, dtype=torch.bool)
            for mask, (x, y) in zip(masks, places, strict=True):
                mask[y:y + 24, x:x + 24] = True
            order = [0, 1] if self.number % 2 == 0 else [1, 0]
            boxes = torch.tensor([[x, y, x + 24, y + 24] for x, y in places]).float()
            sample = SegDataSample(pred_instances=InstanceData(
                masks=masks[order], bboxes=boxes[order], labels=torch.zeros(2, dtype=torch.long),
                scores=torch.tensor([0.9, 0.8])))
            self.number += 1
            yield frame, sample


@pytest.fixture
def clip(tmp_path):
    """A dark video of nine frames."""
    frames = (np.full((*SIZE, 3), 40, np.uint8) for _ in range(9))
    write_frames(frames, str(tmp_path / 'clip.avi'), 10)
    return tmp_path / 'clip.avi'


def middles(frames, number: int) -> list[np.ndarray]:
    """RGB colour inside a square in each frame, where no label hides it."""
    found = []
    for i, frame in enumerate(frames):
        x, y = [(4 + 3 * i, 8), (96 - 3 * i, 60)][number]
        found.append(np.median(frame[y + 6:y + 12, x + 6:x + 18, ::-1], axis=(0, 1)))
    return found


@pytest.mark.parametrize('suffix', ['.mp4', '.avi'])
def test_size_speed_and_length_stay(clip, tmp_path, suffix):
    out = annotate_video(TwoSquares(), clip, tmp_path / 'new' / f'out{suffix}')
    frames = VideoFrames(out)
    assert frames.fps == pytest.approx(10) and len(list(frames)) == 9
    assert next(iter(frames)).shape == (*SIZE, 3)
    assert [each.name for each in out.parent.iterdir()] == [f'out{suffix}']


@pytest.mark.parametrize('keep', [True, False])
def test_colours_stay_with_the_objects(clip, tmp_path, keep):
    out = annotate_video(TwoSquares(), clip, tmp_path / 'out.avi', keep_colors=keep)
    frames = list(VideoFrames(out))
    for number in (0, 1):
        colours = np.array(middles(frames, number))
        spread = abs(colours - colours[0]).max()
        assert spread < 25 if keep else spread > 60
    first, second = (middles(frames, number)[0] for number in (0, 1))
    expected = 40 * 0.55 + 0.45 * instance_colors(2)
    assert abs(first - expected[0]).max() < 25 and abs(second - expected[1]).max() < 25


def test_objects_below_the_threshold_are_not_drawn():
    _, sample = next(TwoSquares().stream_with_images([None], 1))
    objects = frame_objects(sample, ('square', ), 0.85, None)
    assert len(objects.crops) == 1 and objects.texts == ['square 0.90']
    assert not frame_objects(sample, ('square', ), 0.95, None).crops


def test_frames_are_taken_one_by_one(clip, tmp_path):
    inferencer, numbers = TwoSquares(), []
    annotate_video(inferencer, clip, tmp_path / 'out.avi',
                   receive=lambda _: numbers.append(inferencer.number))
    assert numbers == list(range(1, 10))


def test_predictions_tell_the_objects_apart(clip, tmp_path):
    samples = []
    annotate_video(TwoSquares(), clip, tmp_path / 'a.avi', 0.85, receive=samples.append)
    first, second, *_ = (each.pred_instances.track_ids.tolist() for each in samples)
    assert (first, second) == ([1, -1], [2, -1])  # the best of each frame is another object
    annotate_video(TwoSquares(), clip, tmp_path / 'b.avi', receive=samples.append)
    assert samples[9].pred_instances.track_ids.tolist() == [1, 2]
    assert samples[10].pred_instances.track_ids.tolist() == [2, 1]
    annotate_video(TwoSquares(), clip, tmp_path / 'c.avi', keep_colors=False,
                   receive=samples.append)
    assert 'track_ids' not in samples[-1].pred_instances


def test_a_real_inferencer(inferencer, clip, tmp_path):
    out = annotate_video(inferencer, clip, tmp_path / 'out.mp4', batch_size=4)
    assert len(list(VideoFrames(out))) == 9


def test_nothing_is_left_of_a_video_that_fails(clip, tmp_path):
    class Failing(TwoSquares):
        def stream_with_images(self, frames, batch_size):
            yield from ((f, s) for f, s in super().stream_with_images(list(frames)[:3], 1))
            raise RuntimeError('stopped')

    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a.mp4').write_bytes(b'an older one')
    with pytest.raises(RuntimeError, match='stopped'):
        annotate_video(Failing(), clip, tmp_path / 'out' / 'a.mp4')
    assert [each.read_bytes() for each in (tmp_path / 'out').iterdir()] == [b'an older one']


def test_errors_are_sentences(clip, tmp_path):
    with pytest.raises(ValueError, match=r'out.gif: unknown video format'):
        annotate_video(TwoSquares(), clip, tmp_path / 'out.gif')
    with pytest.raises(FileNotFoundError, match='gone.mp4: no such video'):
        annotate_video(TwoSquares(), tmp_path / 'gone.mp4', tmp_path / 'out.mp4')
    (tmp_path / 'text.mp4').write_text('hello')
    with pytest.raises(ValueError, match='text.mp4: OpenCV cannot read this video'):
        annotate_video(TwoSquares(), tmp_path / 'text.mp4', tmp_path / 'out.mp4')


def test_a_progress_bar(clip, tmp_path, capsys):
    loud = TwoSquares()
    loud.show_progress = True
    annotate_video(loud, clip, tmp_path / 'a.avi')
    assert 'Frames' in capsys.readouterr().out
    annotate_video(TwoSquares(), clip, tmp_path / 'b.avi')
    assert cv2.VideoCapture(str(tmp_path / 'b.avi')).isOpened()
    assert 'Frames' not in capsys.readouterr().out


def squares(*places: tuple[int, int], side: int = 20, size: int = 120) -> tuple:
    """Masks (N, size, size) and boxes (N, 4) of squares whose corners are at x, y."""
    masks = np.zeros((len(places), size, size), bool)
    boxes = np.zeros((len(places), 4), np.float32)
    for mask, box, (x, y) in zip(masks, boxes, places, strict=True):
        mask[y:y + side, x:x + side] = True
        box[:] = x, y, x + side, y + side
    return masks, boxes


def update(colors: TrackColors, *places, labels=None) -> list[int]:
    return colors.update(*squares(*places), np.array(labels or [0] * len(places))).tolist()


def test_numbers_go_with_the_objects_and_not_with_their_order():
    colors = TrackColors()
    assert update(colors, (0, 0), (60, 0), (0, 60)) == [0, 1, 2]
    assert update(colors, (4, 64), (3, 2), (58, 3)) == [2, 0, 1]


def test_objects_that_pass_each_other_keep_their_numbers():
    colors = TrackColors()
    assert update(colors, (0, 0), (80, 30)) == [0, 1]
    for step in range(1, 17):
        left, right = (5 * step, 0), (80 - 5 * step, 30)
        assert update(colors, right, left) == [1, 0]


def test_the_best_assignment_of_all_together():
    """Greedily the first would take the nearer one and leave the second nothing."""
    colors = TrackColors()
    assert update(colors, (20, 0), (30, 0)) == [0, 1]
    assert update(colors, (27, 0), (37, 0)) == [0, 1]


def test_new_objects_get_the_smallest_free_number():
    colors = TrackColors(max_age=2)
    assert update(colors, (0, 0), (60, 0)) == [0, 1]
    assert update(colors, (60, 0), (0, 90)) == [1, 2]
    for _ in range(3):
        assert update(colors, (60, 0)) == [1]
    assert update(colors, (60, 0), (90, 90)) == [1, 0]


def test_an_object_that_hides_for_a_while_is_known_again():
    colors = TrackColors(max_age=3)
    assert update(colors, (60, 0), (0, 0)) == [0, 1]
    for _ in range(3):
        assert update(colors, (60, 0)) == [0]
    assert update(colors, (0, 0), (60, 0)) == [1, 0]
    for _ in range(4):
        update(colors, (60, 0))
    assert update(colors, (0, 90), (0, 0)) == [1, 2]  # forgotten: the first of two new ones


def test_ids_of_forgotten_objects_are_not_used_again():
    colors = TrackColors(max_age=0)
    assert update(colors, (0, 0), (60, 0)) == [0, 1] and colors.track_ids.tolist() == [1, 2]
    assert update(colors, (60, 0)) == [1] and colors.track_ids.tolist() == [2]
    assert update(colors, (0, 0), (60, 0)) == [0, 1] and colors.track_ids.tolist() == [3, 2]


def test_another_category_is_another_object():
    colors = TrackColors()
    assert update(colors, (0, 0), labels=[0]) == [0]
    assert update(colors, (0, 0), labels=[1]) == [1]


def test_frames_without_objects():
    colors = TrackColors()
    assert update(colors) == [] and update(colors, (0, 0)) == [0] and update(colors) == []
    assert update(colors, (0, 0)) == [0]


def test_no_masks_are_remembered():
    masks, boxes = squares((0, 0), (700, 600), side=200, size=1000)
    colors = TrackColors()
    assert colors.update(masks, boxes, np.zeros(2)).tolist() == [0, 1]
    assert len(pickle.dumps(colors._tracks)) < 4000
    assert colors.update(masks[::-1], boxes[::-1], np.zeros(2)).tolist() == [1, 0]


def test_masks_kept_as_a_map_are_tracked_as_planes_are():
    one, other = TrackColors(), TrackColors()
    for places in (((0, 0), (300, 0), (0, 300)), ((320, 4), (5, 310), (9, 3))):
        masks, boxes = squares(*places, side=150, size=600)
        inst_map = torch.from_numpy((masks * np.array([7, 2, 5])[:, None, None]).sum(0))
        as_map = InstanceMasks(inst_map, torch.tensor([7, 2, 5]))
        labels = np.zeros(3, int)
        assert one.update(masks, boxes, labels).tolist() == other.update(
            as_map, boxes, labels).tolist()
        assert as_map.inst_map is not None
