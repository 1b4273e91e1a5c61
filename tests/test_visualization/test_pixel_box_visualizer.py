import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import TASK_UTILS, VISUALIZERS
from mmseg.structures import SegDataSample

from mmseg_instbox.core.grouping import Candidates
from mmseg_instbox.visualization import InstBoxLocalVisualizer, PixelBoxVisualizer, add_box_targets
from mmseg_instbox.visualization.drawing import join_panels
from mmseg_instbox.visualization.pixel_box_visualizer import (
    LOST_COLOR,
    draw_candidates,
    find_candidates,
    match_candidates,
)
from mmseg_instbox.visualization.vote_field import dim

META = dict(classes=('background', 'cat', 'road', 'dog'), palette=[[0, 0, 0]] * 4,
            thing_classes=('dog', 'cat'))
SHAPE, GRID = (80, 120), (8, 12)
CAT, DOG = (10, 10, 50, 50), (60, 20, 110, 60)


def make_visualizer(**kwargs):
    """A visualizer that does not enlarge, so that its pixels are those of the image."""
    visualizer = PixelBoxVisualizer(**dict(min_size=1, **kwargs))
    visualizer.dataset_meta = META
    return visualizer


def grey_image():
    return np.full((*SHAPE, 3), 100, np.uint8)


def make_sample(truth=True, boxes=True):
    """A cat and a dog, predicted as they are; labels index ``thing_classes``."""
    masks = torch.zeros(2, *SHAPE, dtype=torch.bool)
    scores, pred = torch.zeros(4, *GRID), torch.zeros(4, *GRID)
    scores[0] = 1
    for mask, category, box in zip(masks, (1, 3), (CAT, DOG), strict=True):
        mask[box[1]:box[3], box[0]:box[2]] = True
        cells = np.s_[box[1] // 10:box[3] // 10, box[0] // 10:box[2] // 10]
        scores[(slice(None), *cells)] = torch.eye(4)[category][:, None, None]
        pred[(slice(None), *cells)] = torch.tensor(box, dtype=torch.float32)[:, None, None]
    objects = dict(labels=torch.tensor([1, 0]), bboxes=torch.tensor([CAT, DOG]).float())
    sample = SegDataSample(pred_instances=InstanceData(
        masks=masks, scores=torch.tensor([.6, .9]), **objects))
    if boxes:
        sample.pred_boxes, sample.pred_probs = PixelData(data=pred), PixelData(data=scores)
        sample.set_metainfo(dict(grid_extent=SHAPE))
    if truth:
        sample.gt_inst_map = PixelData(data=(masks[0] * 1 + masks[1] * 2)[None].int())
        sample.gt_instances = InstanceData(ids=torch.tensor([1, 2]), **objects)
    return sample


def draw(sample, visualizer=None, **kwargs):
    """The picture and the captions of its panels."""
    visualizer, names = visualizer or make_visualizer(), []

    def join(panels, columns=None):
        names.extend(panels)
        return join_panels(panels, columns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmseg_instbox.visualization.inst_box_local_visualizer.join_panels', join)
        visualizer.add_datasample('test', grey_image(), sample, **kwargs)
    return visualizer.get_image(), [name.split(':')[0] for name in names]


def panels_of(picture):
    """The four panels of a picture in two columns, without the strips of their captions."""
    rows = np.split(picture, 2)
    return [half[-SHAPE[0]:] for row in rows for half in np.split(row, 2, axis=1)]


def test_built_from_registry():
    visualizer = VISUALIZERS.build(dict(type='PixelBoxVisualizer', name='built_pixel_box'))
    assert isinstance(visualizer, InstBoxLocalVisualizer)
    assert visualizer.score_thr == InstBoxLocalVisualizer(name='plain').score_thr


def test_four_panels_in_two_rows():
    picture, names = draw(make_sample())
    assert names == ['ground truth', 'votes', 'candidates', 'instances']
    assert picture.shape[1] == 2 * SHAPE[1] and picture.shape[0] > 2 * SHAPE[0]


@pytest.mark.usefixtures('exact_canvas')
def test_truth_and_instances_are_drawn_as_ever():
    picture, _ = draw(make_sample(), with_labels=False)
    plain = InstBoxLocalVisualizer('plain', min_size=1)
    plain.dataset_meta = META
    plain.add_datasample('test', grey_image(), make_sample(), with_labels=False)
    truth, _, _, instances = panels_of(picture)
    left, right = np.split(plain.get_image()[-SHAPE[0]:], 2, axis=1)
    assert np.array_equal(truth, left) and np.array_equal(instances, right)


@pytest.mark.usefixtures('exact_canvas')
def test_votes_of_both_objects_meet_at_their_centres():
    _, votes, _, _ = panels_of(draw(make_sample(), with_labels=False)[0])
    for x, y in ((30, 30), (85, 40)):
        assert votes[y - 1:y + 1, x - 1:x + 1].min() > 180
    assert (votes[:9] == votes[0, 0]).all()


def test_candidates_have_the_colours_of_their_instances():
    picture, _ = draw(make_sample(), with_labels=False)
    _, _, candidates, instances = panels_of(picture)
    for x1, y1, x2, _ in (CAT, DOG):
        edge = candidates[y1, x1 + 3:x2 - 3]
        assert np.array_equal(edge, np.broadcast_to(instances[y1, x1 + 3], edge.shape))
    assert not np.array_equal(candidates[CAT[1], 20], candidates[DOG[1], 70])


def test_candidates_of_instances_that_are_not_shown_are_grey():
    _, _, candidates, _ = panels_of(draw(make_sample(), with_labels=False, score_thr=.7)[0])
    assert np.ptp(candidates[CAT[1], 20].astype(int)) == 0
    assert np.ptp(candidates[DOG[1], 70].astype(int)) > 50


def test_stages_and_columns_can_be_chosen():
    sample = make_sample(truth=False)
    picture, names = draw(sample, make_visualizer(stages=('instances', 'votes'), columns=1))
    assert names == ['instances', 'votes'] and picture.shape[1] == SHAPE[1]
    picture, names = draw(sample, make_visualizer(columns=3), with_image=True)
    assert names == ['image', 'votes', 'candidates', 'instances']
    assert picture.shape[1] == 3 * SHAPE[1]
    assert (picture[-SHAPE[0]:, SHAPE[1]:] == 255).all()  # the rest of the second row


def test_ground_truth_alone_needs_no_boxes():
    sample = make_sample(boxes=False)
    assert np.array_equal(draw(sample, draw_pred=False)[0],
                          draw(make_sample(), draw_pred=False)[0])
    del sample.pred_instances
    assert draw(sample)[0].shape == (*SHAPE, 3)


def test_without_boxes_there_is_a_sentence():
    with pytest.raises(ValueError, match='pred_boxes, pred_probs, grid_extent.*keep_boxes=True'):
        draw(make_sample(boxes=False))


def test_things_are_looked_up_by_name_or_are_all_but_the_first():
    sample, visualizer = make_sample(truth=False), make_visualizer(stages=('votes', ))
    all_votes, _ = draw(sample, visualizer)
    visualizer.dataset_meta = dict(META, thing_classes=('cat', ))
    sample.pred_instances = sample.pred_instances[:1]
    sample.pred_instances.labels[:] = 0
    cat_votes, _ = draw(sample, visualizer)
    assert (cat_votes[20:60, 62:] == cat_votes[0, 0]).all()
    assert np.array_equal(cat_votes[:, :55], all_votes[:, :55])
    visualizer.dataset_meta = {}
    assert np.array_equal(draw(sample, visualizer)[0], all_votes)


def test_nothing_found_is_drawn():
    sample = make_sample()
    sample.pred_probs.data[:] = torch.eye(4)[0][:, None, None]
    sample.pred_instances = sample.pred_instances[:0]
    assert len(draw(sample)[1]) == 4


def test_sample_is_not_changed_and_same_sample_gives_same_picture():
    sample = make_sample()
    first, _ = draw(sample)
    assert np.array_equal(first, draw(sample)[0])
    assert sorted(sample.keys()) == sorted(make_sample().keys())
    assert torch.equal(sample.pred_boxes.data, make_sample().pred_boxes.data)


@pytest.mark.usefixtures('exact_canvas')
def test_small_images_are_enlarged_with_their_votes():
    visualizer = make_visualizer()
    visualizer.min_size = 480
    picture, _ = draw(make_sample(truth=False), visualizer, with_labels=False, with_image=True)
    _, votes, candidates, _ = (
        half[-320:] for row in np.split(picture, 2) for half in np.split(row, 2, axis=1))
    for x, y in ((30, 30), (85, 40)):
        assert votes[4 * y - 2:4 * y + 2, 4 * x - 2:4 * x + 2].min() > 180
    assert (votes[:38] == votes[0, 0]).all() and (votes[:, 444:] == votes[0, 0]).all()
    assert np.ptp(candidates[4 * DOG[1], 300].astype(int)) > 50


@pytest.mark.parametrize('kwargs, match', [
    (dict(stages=()), 'stages'), (dict(stages=('dots', )), 'dots'),
    (dict(grouper=dict(type='BoxNMSGrouper')), 'BoxNMSGrouper counts no votes')])
def test_wrong_settings_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        PixelBoxVisualizer('wrong', **kwargs)


def test_candidates_come_from_the_grouper_of_the_config():
    coarse = make_visualizer(grouper=dict(type='PixelBoxGrouper', min_votes=1e6))
    assert coarse.grouper.min_votes == 1e6
    _, _, candidates, _ = panels_of(draw(make_sample(), coarse, with_labels=False)[0])
    assert (candidates == candidates[0, 0]).all()


class Head:
    coder = TASK_UTILS.build(dict(type='PixelBoxCoder'))


def test_training_sample_with_and_without_targets():
    sample, visualizer = make_sample(boxes=False), make_visualizer()
    plain = visualizer.draw_training_sample(grey_image(), sample, 'after Flip')
    assert plain.shape[1] == 2 * SHAPE[1] and plain.shape[0] < 2 * SHAPE[0]
    add_box_targets(sample, Head, GRID)
    picture = visualizer.draw_training_sample(grey_image(), sample, 'after Flip')
    image, truth, votes, _ = panels_of(picture)
    assert np.array_equal(image, grey_image())
    assert (truth[11:49, 11:49] != 100).any(-1).all() and (truth[:, 112:] == 100).all()
    assert votes[29:31, 29:31].min() > 180 and (votes[:9] == votes[0, 0]).all()


def test_training_sample_of_another_size_is_refused():
    with pytest.raises(ValueError, match='gt_inst_map'):
        make_visualizer().draw_training_sample(grey_image()[:50], make_sample())


FIRST, SECOND = (10., 10., 50., 50.), (60., 20., 110., 60.)
RED, BLUE = (230, 25, 75), (0, 110, 220)


@pytest.fixture
def grouper():
    return TASK_UTILS.build(dict(type='PixelBoxGrouper'))


def scene():
    """Two objects of category 1 and 2 whose cells all have the box of their object."""
    scores, boxes = torch.zeros(3, *GRID), torch.zeros(4, *GRID)
    scores[0] = 1
    for category, box in ((1, FIRST), (2, SECOND)):
        x1, y1, x2, y2 = (round(side / 10) for side in box)
        scores[:, y1:y2, x1:x2] = torch.eye(3)[category][:, None, None]
        boxes[:, y1:y2, x1:x2] = torch.tensor(box)[:, None, None]
    return boxes, scores


def candidates(*boxes, labels=None, votes=None):
    return Candidates(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(labels or [1] * len(boxes)),
        torch.tensor(votes or [4.] * len(boxes)))


def find(grouper, boxes, scores):
    return find_candidates(grouper, boxes, scores, SHAPE, [1, 2], SHAPE)


def test_cells_that_agree_make_the_candidates(grouper):
    found = find(grouper, *scene())
    for category, box, num in ((1, FIRST, 16), (2, SECOND, 20)):
        best = found.labels.eq(category).nonzero()[0]  # the first has most votes
        assert torch.allclose(found.boxes[best], torch.tensor([box]), atol=1e-3)
        assert num / 4 <= found.votes[best] <= 2 * num
    assert (found.votes[1:] <= found.votes[:-1]).all()


def test_they_are_those_that_the_grouper_merges(grouper, monkeypatch):
    seen = []
    vote = grouper.vote
    monkeypatch.setattr(grouper, 'vote', lambda cells: seen.append(vote(cells)) or seen[-1])
    boxes, scores = scene()
    boxes = boxes + torch.randn(boxes.shape, generator=torch.Generator().manual_seed(0))
    found = find(grouper, boxes, scores)
    grouper(scores, boxes, SHAPE, [1, 2])
    assert len(seen) == 2
    for ours, theirs in zip(found, seen[1][1], strict=True):
        assert torch.equal(ours, theirs)


def test_without_things_there_are_none(grouper):
    boxes, scores = scene()
    scores = torch.eye(3)[0][:, None, None].expand(3, *GRID)
    found = find(grouper, boxes, scores)
    assert found.boxes.shape == (0, 4) and len(found.labels) == len(found.votes) == 0
    drawn = draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), found,
                            match_candidates(found, np.zeros((0, 4)), np.zeros(0)),
                            np.zeros((0, 3), np.uint8))
    assert np.array_equal(drawn, dim(np.full((*SHAPE, 3), 90, np.uint8)))


def test_match_by_hand():
    found = candidates(FIRST, (10, 10, 50, 26), (10, 10, 50, 25), SECOND, SECOND,
                       labels=[1, 1, 1, 2, 1])
    owners = match_candidates(found, np.array([SECOND, FIRST]), np.array([2, 1]))
    # IoU 1, 0.4 and 0.375 with the first; the last has the place of the second, not its category
    assert owners.tolist() == [1, 1, -1, 0, -1]
    assert match_candidates(found, np.zeros((0, 4)), np.zeros(0)).tolist() == [-1] * 5


def drawn_colors(picture):
    return {tuple(color) for color in picture.reshape(-1, 3).tolist()}


def test_boxes_have_the_colour_of_their_instance_and_lost_ones_are_grey():
    image = np.full((*SHAPE, 3), 90, np.uint8)
    found = candidates(FIRST, SECOND, (2, 62, 32, 78))
    drawn = draw_candidates(image, found, np.array([1, 0, -1]), np.array([RED, BLUE], np.uint8),
                            with_labels=False)
    assert (drawn[10, 12:48] == BLUE).all() and (drawn[12:48, 49] == BLUE).all()
    assert (drawn[20, 62:108] == RED).all() and (drawn[30, 30] == BLUE).all()
    assert (drawn[62, 4:30] == LOST_COLOR).all()
    assert (image == 90).all()


def test_more_votes_make_a_larger_dot():
    image = np.full((300, 300, 3), 90, np.uint8)
    found = candidates((10, 10, 110, 110), (150, 150, 290, 290), votes=[100., 4.])
    drawn = draw_candidates(image, found, np.array([0, 1]), np.array([RED, BLUE], np.uint8),
                            with_labels=False)
    sizes = [(drawn[40:80, 40:80] == RED).all(-1).sum(), (drawn[200:240, 200:240] == BLUE)
             .all(-1).sum()]
    assert sizes[0] > 2 * sizes[1] > 0


def test_the_votes_of_the_strongest_are_written(monkeypatch):
    written = []
    monkeypatch.setattr('mmseg_instbox.visualization.pixel_box_visualizer.draw_labels',
                        lambda canvas, boxes, texts, colors: written.extend(texts) or canvas)
    found = candidates(FIRST, FIRST, SECOND, SECOND, votes=[20.4, 9.0, 3.25, 2.])
    draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), found, np.array([0, 0, 1, -1]),
                    np.array([RED, BLUE], np.uint8))
    assert written == ['20 votes', '3.2 votes']


def test_thousands_of_candidates_are_drawn_in_part():
    boxes = np.random.default_rng(0).uniform(0, 40, (3000, 4)) + (0, 0, 40, 40)
    found = candidates(*boxes.tolist())
    owners = np.full(3000, -1)
    drawn = draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), found, owners,
                            np.zeros((0, 3), np.uint8))
    assert LOST_COLOR in drawn_colors(drawn)
    some = type(found)(*(each[:200] for each in found))
    few = draw_candidates(np.full((*SHAPE, 3), 90, np.uint8), some, owners[:200],
                          np.zeros((0, 3), np.uint8))
    assert np.array_equal(drawn, few)
