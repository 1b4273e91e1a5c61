"""An object keeps its number while it moves, hides for a while, or meets another."""
import pickle

import numpy as np
import torch

from mmseg_instbox.apis.track_colors import TrackColors
from mmseg_instbox.core.instances import InstanceMasks


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
