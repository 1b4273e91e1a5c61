import json

import numpy as np
import pytest
import torch

from mmseg_instbox.models.task_modules import CentreGrouper, PixelBoxGrouper

GROUPERS = [CentreGrouper(), PixelBoxGrouper(num_smooth=0)]


@pytest.fixture
def bench(benchmarks):
    """The script as a module."""
    import grouping
    return grouping


def make_scene(bench, *rectangles, size=(64, 96), stride=8):
    """Rectangles (category, id, x1, y1, x2, y2) on background."""
    seg_map, inst_map = np.zeros((2, *size), np.int32)
    for category, index, x1, y1, x2, y2 in rectangles:
        seg_map[y1:y2, x1:x2], inst_map[y1:y2, x1:x2] = category, index
    return bench.make_scene(seg_map, inst_map, stride)


@pytest.fixture
def pair(bench):
    """Two objects of category 3 that touch at x = 40, one of category 5 below, stuff and void."""
    return make_scene(bench, (3, 1, 8, 8, 40, 40), (3, 2, 40, 8, 88, 40), (5, 9, 8, 40, 88, 64),
                      (7, 0, 0, 0, 96, 8), (3, 255, 88, 8, 96, 40), (255, 4, 0, 8, 8, 64))


def test_cells_hold_the_boxes_of_their_objects(pair):
    assert pair.categories.shape == (64, 96) and pair.boxes.shape == (4, 8, 12)
    assert set(pair.categories.unique().tolist()) == {0, 3, 5}  # stuff and void have no objects
    assert pair.boxes[:, 2, 3].tolist() == [8, 8, 40, 40]
    assert pair.boxes[:, 2, 5].tolist() == [40, 8, 88, 40]
    assert pair.boxes[:, 6, 5].tolist() == [8, 40, 88, 64]
    assert (pair.cell_categories > 0).sum() == 4 * 10 + 3 * 10
    assert (pair.objects[8:, :8] == 255).all()


def test_without_blur_and_noise_boxes_are_true(bench, pair):
    boxes = bench.disturb(pair, 0, 0, np.random.default_rng(0))
    assert np.array_equal(boxes, pair.boxes)


def test_blur_mixes_the_objects_of_a_category_only(bench, pair):
    boxes = bench.disturb(pair, 1.5, 0, np.random.default_rng(0))
    assert boxes[:, 6, 5] == pytest.approx([8, 40, 88, 64])  # alone in its category
    left = boxes[0, 2, 1:11]
    assert (np.diff(left) > 0).all() and 8 < left[0] < 24 < left[-1] < 40
    assert boxes[[1, 3], 2, 1:11] == pytest.approx(np.array([[8], [40]]).repeat(10, 1))
    assert (boxes[:, 0] == 0).all()


def test_blur_is_normalised_by_the_foreground(bench, pair):
    """By sums over all cells of the category, with the field reflected at the image's edge."""
    inside = pair.cell_categories == 3
    side = np.where(inside, pair.boxes[2], 0)
    reach = 6  # cells: 4 sigma, where SciPy cuts off
    fields = [np.pad(field, reach, mode='symmetric') for field in (side, inside.astype(float))]
    steps = np.arange(-reach, reach + 1)
    kernel = np.exp(-(steps[:, None]**2 + steps[None]**2) / (2 * 1.5**2))
    window = np.s_[3:3 + 2 * reach + 1, 4:4 + 2 * reach + 1]
    expected, weight = ((kernel * field[window]).sum() for field in fields)
    boxes = bench.disturb(pair, 1.5, 0, np.random.default_rng(0))
    assert boxes[2, 3, 4] == pytest.approx(expected / weight)


def test_noise_is_a_share_of_the_objects_size(bench):
    scene = make_scene(bench, (1, 1, 0, 0, 320, 160), size=(160, 320))
    offset = bench.disturb(scene, 0, 0.2, np.random.default_rng(0)) - scene.boxes
    relative = offset / np.array([320, 160, 320, 160])[:, None, None]
    assert relative.std() == pytest.approx(0.2)
    neighbours = np.corrcoef(relative[:, :, 1:].ravel(), relative[:, :, :-1].ravel())[0, 1]
    assert 0.85 < neighbours < 0.98  # exp(-1 / 16) for sigma 2


def test_matches_by_hand(bench, pair):
    masks = torch.zeros(4, 64, 96, dtype=torch.bool)
    masks[0, 8:40, :40] = True  # the first object and void: IoU 1
    masks[1, 8:40, 40:60] = True  # 20 of 48 columns of the second
    masks[2, 40:64, 8:56] = True  # 48 of 80 columns of the third
    masks[3, 50:60, :8] = True  # only void
    matches, iou, predictions, objects = bench.match(masks, pair)
    assert (matches, predictions, objects) == (2, 3, 3) and iou == pytest.approx(1.6)
    assert bench.match(masks[:0], pair) == (0, 0, 0, 3)


def test_true_boxes_are_grouped_perfectly(bench):
    pair = make_scene(bench, (3, 1, 8, 8, 40, 40), (3, 2, 40, 8, 88, 40), stride=4)
    for kind in bench.GROUPERS.values():
        figures = bench.run_grouper(kind(), [pair], [pair.boxes])
        assert figures['F1'] == 1 and figures['PQ'] > 0.99
        assert figures['ms_grid'] > 0 and figures['ms_masks'] > 0


def test_figures_of_a_grouper_that_finds_nothing(bench, pair):
    empty = make_scene(bench)
    blind = CentreGrouper(min_votes=1e6)
    figures = bench.run_grouper(blind, [pair, empty], [pair.boxes, empty.boxes])
    assert (figures['F1'], figures['PQ']) == (0, 0)
    assert bench.run_grouper(blind, [empty], [empty.boxes])['F1'] == 0


def test_the_same_images_and_noise_for_every_grouper_and_run(bench, tiny_voc):
    scenes = bench.load_scenes(tiny_voc, ['train', 'val'], 3, 4)
    for one, other in zip(scenes, bench.load_scenes(tiny_voc, ['train', 'val'], 3, 4), strict=True):
        assert torch.equal(one.objects, other.objects)
    assert len(scenes) == 3 and len(bench.load_scenes(tiny_voc, ['val'], 99, 4)) == 4
    rows = list(bench.benchmark(GROUPERS, scenes))
    assert [(row['sigma'], row['noise']) for row in rows[::2]] == list(bench.LEVELS)
    again = list(bench.benchmark(GROUPERS[1:], scenes))
    assert [row['F1'] for row in rows[1::2]] == [row['F1'] for row in again]


def test_prints_a_table_and_writes_json(run_main, benchmarks, tiny_voc, tmp_path):
    out = tmp_path / 'new' / 'grouping.json'
    printed = run_main('benchmarks/grouping.py', '--data-root', tiny_voc, '--lists', 'train',
                       '--quick', '--out', out)
    content = json.loads(out.read_text())
    assert content['note'] == '2 images.' and len(content['rows']) == 3 * 4
    quiet = {row['grouper']: row['F1'] for row in content['rows'] if row['noise'] == 0}
    assert quiet == dict(BoxNMSGrouper=1, CentreGrouper=1, PixelBoxGrouper=1)
    assert str(out) in printed and 'ms masks' in printed
