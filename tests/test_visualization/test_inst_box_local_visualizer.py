import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from mmseg_instbox.visualization import InstBoxLocalVisualizer

META = dict(classes=('background', 'cat', 'dog'), palette=[[0, 0, 0], [200, 0, 0], [0, 0, 200]],
            thing_classes=('cat', 'dog'))
SIZE = 40
FIRST, SECOND = (4, 10, 14, 30), (14, 10, 24, 30)  # two boxes that touch
INSIDE_FIRST, INSIDE_SECOND, FAR = (20, 9), (20, 19), (36, 36)  # row, column


def make_visualizer(**kwargs):
    """A visualizer that does not enlarge, so that its pixels are those of the image."""
    visualizer = InstBoxLocalVisualizer(**dict(min_size=1, **kwargs))
    visualizer.dataset_meta = META
    return visualizer


def grey_image(size=SIZE):
    return np.full((size, size, 3), 100, dtype=np.uint8)


def masks_of(*boxes, size=SIZE):
    masks = torch.zeros(len(boxes), size, size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


def add_predictions(sample, boxes, scores, size=SIZE):
    sample.pred_instances = InstanceData(
        masks=masks_of(*boxes, size=size), scores=torch.tensor(scores, dtype=torch.float32),
        labels=torch.zeros(len(boxes), dtype=torch.int64),
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    return sample


def add_truth(sample, boxes, void=None, size=SIZE):
    inst_map = torch.zeros(1, size, size, dtype=torch.int32)
    for number, mask in enumerate(masks_of(*boxes, size=size), start=1):
        inst_map[0][mask] = number
    if void is not None:
        inst_map[0][masks_of(void, size=size)[0]] = 255
    sample.gt_inst_map = PixelData(data=inst_map)
    sample.gt_instances = InstanceData(
        ids=torch.arange(1, len(boxes) + 1), labels=torch.ones(len(boxes), dtype=torch.int64),
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    return sample


def draw(sample, visualizer=None, image=None, **kwargs):
    visualizer = visualizer or make_visualizer()
    drawn = []
    visualizer.add_image = lambda name, picture, step: drawn.append(picture)
    image = grey_image() if image is None else image
    visualizer.add_datasample('test', image, sample, **kwargs)
    return drawn[0]


def body(drawn, size=SIZE):
    """Cut off the strip with the panels' names."""
    return drawn[-size:]


def test_built_from_registry_as_mmseg_visualizer():
    visualizer = VISUALIZERS.build(dict(type='InstBoxLocalVisualizer', name='built'))
    assert isinstance(visualizer, SegLocalVisualizer)


def test_changes_pixels_of_masks_and_no_others():
    sample = add_predictions(SegDataSample(), [FIRST, SECOND], [.9, .8])
    changed = (draw(sample, with_labels=False) != grey_image()).any(axis=2)
    reached = cv2.dilate(sample.pred_instances.masks.any(0).numpy().astype(np.uint8),
                         np.ones((5, 5))) > 0  # a contour has a width
    assert changed[sample.pred_instances.masks.any(0).numpy()].all()
    assert not changed[~reached].any()


def test_touching_instances_of_one_category_differ_in_colour():
    drawn = draw(add_predictions(SegDataSample(), [FIRST, SECOND], [.9, .8]), with_labels=False)
    difference = drawn[INSIDE_FIRST].astype(int) - drawn[INSIDE_SECOND]
    assert np.abs(difference).sum() > 60


def test_same_sample_gives_same_picture():
    sample = add_predictions(SegDataSample(), [FIRST, SECOND], [.9, .8])
    assert np.array_equal(draw(sample), draw(sample))


def test_alpha_is_opacity():
    sample = add_predictions(SegDataSample(), [FIRST], [.9])
    strong = draw(sample, make_visualizer(alpha=1.), with_labels=False)[INSIDE_FIRST]
    weak = draw(sample, make_visualizer(alpha=.25), with_labels=False)[INSIDE_FIRST]
    assert np.allclose(weak, .75 * 100 + .25 * strong, atol=1)


def test_without_predictions_the_image_stays():
    assert np.array_equal(draw(add_predictions(SegDataSample(), [], [])), grey_image())
    assert np.array_equal(draw(None), grey_image())


def test_image_and_sample_are_not_changed():
    image, sample = grey_image(), add_predictions(SegDataSample(), [FIRST], [.9])
    draw(sample, image=image, score_thr=1)
    draw(sample, image=image)
    assert np.array_equal(image, grey_image())
    assert torch.equal(sample.pred_instances.masks, masks_of(FIRST))


@pytest.mark.parametrize('thr, drawn_first', [(.3, True), (.5, True), (.51, False)])
def test_score_thr_keeps_scores_from_it_on(thr, drawn_first):
    sample = add_predictions(SegDataSample(), [FIRST], [.5])
    by_argument = draw(sample, score_thr=thr)
    by_constructor = draw(sample, make_visualizer(score_thr=thr))
    assert np.array_equal(by_argument, by_constructor)
    assert (by_argument[INSIDE_FIRST] != 100).any() == drawn_first


def test_higher_score_lies_on_top():
    boxes = [(4, 4, 20, 20), (4, 4, 20, 20)]
    visualizer = make_visualizer(alpha=1.)
    both = draw(add_predictions(SegDataSample(), boxes, [.5, .9]), visualizer, with_labels=False)
    best = draw(add_predictions(SegDataSample(), boxes[:1], [.9]), visualizer, with_labels=False)
    assert np.array_equal(both[12, 12], best[12, 12])


def test_truth_stands_left_of_prediction():
    sample = add_truth(add_predictions(SegDataSample(), [SECOND], [.9]), [FIRST])
    drawn = draw(sample, with_labels=False)
    assert drawn.shape[1] == 2 * SIZE
    left, right = np.split(body(drawn), 2, axis=1)
    assert (left[INSIDE_FIRST] != 100).any() and (left[INSIDE_SECOND] == 100).all()
    assert (right[INSIDE_FIRST] == 100).all() and (right[INSIDE_SECOND] != 100).any()


@pytest.mark.parametrize('flags, width', [
    (dict(draw_gt=False), 1), (dict(draw_pred=False), 1), (dict(with_image=True), 3)])
def test_panels_asked_for_are_drawn(flags, width):
    sample = add_truth(add_predictions(SegDataSample(), [SECOND], [.9]), [FIRST])
    assert draw(sample, **flags).shape[1] == width * SIZE


def test_prediction_has_colour_of_the_object_it_covers():
    sample = add_truth(add_predictions(SegDataSample(), [SECOND, FIRST], [.9, .8]),
                       [FIRST, SECOND])
    left, right = np.split(body(draw(sample, with_labels=False)), 2, axis=1)
    for pixel in (INSIDE_FIRST, INSIDE_SECOND):
        assert np.array_equal(left[pixel], right[pixel])
    assert not np.array_equal(left[INSIDE_FIRST], left[INSIDE_SECOND])


def test_second_prediction_of_one_object_has_its_own_colour():
    sample = add_truth(add_predictions(SegDataSample(), [(4, 10, 10, 30), (10, 10, 14, 30)],
                                       [.9, .8]), [FIRST])
    left, right = np.split(body(draw(sample, with_labels=False)), 2, axis=1)
    assert np.array_equal(left[20, 7], right[20, 7])
    assert not np.array_equal(left[20, 12], right[20, 12])


def test_void_is_grey_and_hatched():
    sample = add_truth(SegDataSample(), [FIRST], void=(26, 4, 38, 34))
    image = np.full((SIZE, SIZE, 3), (200, 50, 50), dtype=np.uint8)
    region = draw(sample, image=image, with_labels=False)[4:34, 26:38].astype(int)
    assert (np.ptp(region, axis=2) < 75).all()  # was 150
    assert len(np.unique(region[..., 0])) == 2


def test_takes_sample_that_carries_semantic_maps():
    sample = add_truth(add_predictions(SegDataSample(), [FIRST], [.9]), [FIRST])
    expected = draw(sample)
    category_map = torch.ones(1, SIZE, SIZE, dtype=torch.int64)
    sample.set_data(dict(pred_sem_seg=PixelData(data=category_map),
                         gt_sem_seg=PixelData(data=category_map),
                         seg_logits=PixelData(data=torch.rand(3, SIZE, SIZE))))
    assert np.array_equal(draw(sample), expected)


def test_sample_without_instances_shows_category_map():
    category_map = torch.zeros(1, SIZE, SIZE, dtype=torch.int64)
    category_map[:, :, 20:] = 2
    sample = SegDataSample(pred_sem_seg=PixelData(data=category_map))
    drawn = draw(sample, make_visualizer(alpha=.5), with_labels=False)
    assert np.allclose(drawn[10, 10], (50, 50, 50), atol=1)
    assert np.allclose(drawn[10, 30], (50, 50, 150), atol=1)


def test_category_map_without_classes_is_refused():
    sample = SegDataSample(pred_sem_seg=PixelData(data=torch.zeros(1, SIZE, SIZE).long()))
    with pytest.raises(ValueError, match='dataset_meta'):
        InstBoxLocalVisualizer(min_size=1).add_datasample('test', grey_image(), sample)


@pytest.mark.parametrize('size, factor', [(20, 5), (40, 3), (100, 1), (130, 1)])
def test_small_images_are_enlarged_by_a_whole_factor(size, factor):
    visualizer = make_visualizer()
    visualizer.min_size = 100
    sample = add_predictions(SegDataSample(), [(2, 2, 10, 12)], [.9], size=size)
    drawn = draw(sample, visualizer, image=grey_image(size), with_labels=False)
    assert drawn.shape == (size * factor, size * factor, 3)
    assert (drawn[2 * factor:12 * factor, 2 * factor:10 * factor] != 100).any(axis=2).all()
    assert (drawn[15 * factor:, 15 * factor:] == 100).all()


def test_box_edges_follow_exclusive_coordinates():
    sample = add_predictions(SegDataSample(), [(0, 0, 0, 0)], [.9])
    sample.pred_instances.bboxes[0] = torch.tensor([10, 5, 30, 25])
    changed = (draw(sample, with_labels=False) != 100).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (10, 5, 30, 25)


@pytest.mark.parametrize('meta, expected', [
    (META, ['dog 0.50']), (dict(classes=META['classes']), ['dog 0.50']), ({}, ['class 1 0.50'])])
def test_label_names_the_thing_class(monkeypatch, meta, expected):
    written = []
    monkeypatch.setattr('mmseg_instbox.visualization.drawing.draw_labels',
                        lambda canvas, boxes, texts, colors: written.extend(texts) or canvas)
    sample = add_predictions(SegDataSample(), [FIRST], [.5])
    sample.pred_instances.labels[0] = 1
    visualizer = make_visualizer()
    visualizer.dataset_meta = meta
    draw(sample, visualizer)
    assert written == expected


def test_labels_are_left_out_when_asked():
    sample = add_predictions(SegDataSample(), [FIRST], [.9])
    assert not np.array_equal(draw(sample), draw(sample, with_labels=False))


def test_set_dataset_meta_as_mmseg_inferencer_calls_it():
    visualizer = InstBoxLocalVisualizer(classes=('a', 'b'))
    assert visualizer.dataset_meta['classes'] == ('a', 'b')
    assert len(visualizer.dataset_meta['palette']) == 2
    visualizer.set_dataset_meta(None, None, None)
    assert visualizer.dataset_meta == {}
    visualizer.set_dataset_meta(**META)
    assert visualizer.dataset_meta == META
    visualizer.set_dataset_meta(dataset_name='voc')
    assert len(visualizer.dataset_meta['classes']) == len(visualizer.dataset_meta['palette']) == 21
    visualizer.set_dataset_meta(palette=[[1, 2, 3]] * 21, dataset_name='voc')
    assert visualizer.dataset_meta['palette'] == [[1, 2, 3]] * 21


@pytest.mark.usefixtures('exact_canvas')
def test_writes_out_file_whole_and_get_image_gives_the_same(tmp_path):
    visualizer, path = make_visualizer(), tmp_path / 'new' / 'picture.png'
    sample = add_predictions(SegDataSample(), [FIRST], [.9])
    visualizer.add_datasample('test', grey_image(), sample, out_file=str(path))
    expected = draw(sample)
    assert [file.name for file in path.parent.iterdir()] == ['picture.png']
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], expected)
    assert np.array_equal(visualizer.get_image(), expected)


def test_backend_writes_picture(tmp_path):
    visualizer = make_visualizer(vis_backends=[dict(type='LocalVisBackend')],
                                 save_dir=str(tmp_path))
    visualizer.add_datasample('test', grey_image(), None, step=3)
    assert [path.name for path in tmp_path.rglob('*.png')] == ['test_3.png']


@pytest.mark.parametrize('name', ['picture', 'picture.xyz'])
def test_out_file_without_picture_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=name):
        make_visualizer().add_datasample('test', grey_image(), out_file=str(tmp_path / name))


def test_wrong_input_is_refused():
    sample = add_predictions(SegDataSample(), [FIRST], [.9])
    with pytest.raises(ValueError, match='uint8'):
        draw(sample, image=grey_image().astype(np.float32))
    with pytest.raises(ValueError, match='pred_instances.masks'):
        draw(sample, image=grey_image(50))
    with pytest.raises(ValueError, match='gt_inst_map'):
        draw(add_truth(SegDataSample(), [FIRST]), image=grey_image(50))
    sample.pred_instances.labels[0] = 2
    with pytest.raises(ValueError, match='thing_classes'):
        draw(sample)
