"""COCO's figures: against pycocotools used as its manual says, and by hand."""
import json
import pickle

import numpy as np
import pytest
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmseg_instbox.evaluation.functional import (
    coco_average_precision,
    coco_regions,
    region_overlap,
)

NAMES = ['AP', 'AP50', 'AP75', 'AP_s', 'AP_m', 'AP_l']
SIZE = (170, 190)


def rectangle(y, x, height, width):
    mask = np.zeros(SIZE, bool)
    mask[max(y, 0):y + height, max(x, 0):x + width] = True
    return mask


def random_scene(seed):
    """Objects of 12 to 150 pixels a side, a void column, and predictions near the objects."""
    random = np.random.default_rng(seed)
    inst_map, frames = np.zeros(SIZE, np.int32), []
    for index in range(1, random.integers(2, 7)):
        side = random.choice([24, 60, 150])
        frames.append((*random.integers(0, 170 - side, 2), *random.integers(side // 2, side, 2)))
        inst_map[rectangle(*frames[-1])] = index * 100
    inst_map[:, random.integers(0, 190)] = 255
    ids = np.setdiff1d(inst_map, [0, 255])
    gt_labels = random.integers(0, 3, len(ids))
    masks, labels = [np.zeros(SIZE, bool)], [1]
    for index, label in [*zip(ids, gt_labels, strict=True)] * 2:
        moved = np.array(frames[index // 100 - 1]) + random.integers(-4, 5, 4)
        masks.append(rectangle(*np.maximum(moved, [-9, -9, 1, 1])))
        labels.append(label if random.random() < 0.8 else (label + 1) % 3)
    scores = random.integers(1, 10, len(masks)) / 10  # many ties
    return np.array(masks), np.array(labels), scores, inst_map, ids, gt_labels


def measure(masks, labels, scores, inst_map, ids, gt_labels):
    masks, labels, scores, inst_map = (
        np.asarray(each) for each in (masks, labels, scores, inst_map))
    overlap = region_overlap(masks.astype(bool).reshape(-1, *inst_map.shape), inst_map, ids)
    return coco_regions(overlap, labels.astype(int), scores, np.asarray(gt_labels, int))


def as_text(mask):
    code = mask_api.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(code, counts=code['counts'].decode())


def run_pycocotools(scenes, folder, categories=(0, 1, 2)):
    """The six figures by way of JSON files and ``loadRes``."""
    objects, detections = [], []
    for image, (masks, labels, scores, inst_map, ids, gt_labels) in enumerate(scenes):
        for index, label in zip(ids, gt_labels, strict=True):
            objects.append(dict(
                id=len(objects) + 1, image_id=image, category_id=int(label), iscrowd=0,
                area=int((inst_map == index).sum()), segmentation=as_text(inst_map == index)))
        for mask, label, score in zip(masks, labels, scores, strict=True):
            detections.append(dict(image_id=image, category_id=int(label), score=float(score),
                                   segmentation=as_text(mask & (inst_map != 255))))
    images = [dict(id=image, height=SIZE[0], width=SIZE[1]) for image in range(len(scenes))]
    data = dict(images=images, categories=[dict(id=i) for i in range(3)], annotations=objects,
                info={})
    (folder / 'truth.json').write_text(json.dumps(data))
    (folder / 'found.json').write_text(json.dumps(detections))
    truth = COCO(folder / 'truth.json')
    evaluation = COCOeval(truth, truth.loadRes(str(folder / 'found.json')), 'segm')
    evaluation.params.catIds = list(categories)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:6]


@pytest.mark.parametrize('first', [0, 50])
def test_agrees_with_pycocotools(first, tmp_path):
    scenes = [random_scene(seed) for seed in range(first, first + 12)]
    table = coco_average_precision([measure(*scene) for scene in scenes], 3)
    assert list(table) == NAMES
    means = [np.nanmean(table[name]) for name in NAMES]
    assert means == pytest.approx(run_pycocotools(scenes, tmp_path), abs=1e-12)
    assert 0.02 < min(means) and max(means) < 0.98
    for label in range(3):
        expected = run_pycocotools(scenes, tmp_path, [label])
        assert [table[name][label] for name in NAMES] == pytest.approx(expected, abs=1e-12)


def square_scene(pixels, scores=(1., )):
    """An object of 10 x 10 pixels and detections that cover so many of its pixels."""
    inst_map = np.zeros((20, 20), np.int32)
    inst_map[5:15, 5:15] = 7
    mask = (inst_map == 7) & ((inst_map == 7).cumsum().reshape(20, 20) <= pixels)
    return measure([mask] * len(scores), [0] * len(scores), scores, inst_map, [7], [0])


def test_by_hand():
    # IoU 0.78 is enough at 0.5, 0.55, ..., 0.75: 6 of 10 thresholds
    table = coco_average_precision([square_scene(78)], 1)
    assert [table[name][0] for name in NAMES[:4]] == pytest.approx([0.6, 1., 1., 0.6], abs=1e-12)
    # the object is small; there is none of the other sizes
    assert np.isnan([table['AP_m'][0], table['AP_l'][0]]).all()


@pytest.mark.parametrize('num_false, expected', [(99, 1 / 100), (100, 0.)])
def test_hundred_detections_of_an_image_and_category_count(num_false, expected):
    inst_map = np.zeros((2, 8), np.int32)
    inst_map[:, :4] = 1
    masks = [inst_map == 1] + [inst_map == 0] * num_false
    image = measure(masks, [0] * len(masks), [.1] + [.9] * num_false, inst_map, [1], [0])
    assert coco_average_precision([image], 1)['AP'][0] == pytest.approx(expected, abs=1e-12)


def test_areas_are_those_of_masks():
    # a thin cross has a large box (100 x 100) and a small mask
    inst_map = np.zeros((120, 120), np.int32)
    inst_map[10:110, 60], inst_map[60, 10:110] = 1, 1
    image = measure([inst_map == 1], [0], [1.], inst_map, [1], [0])
    assert image.gt_areas.tolist() == image.areas.tolist() == [199]
    table = coco_average_precision([image], 1)
    assert table['AP_s'][0] == pytest.approx(1.) and np.isnan(table['AP_l'][0])


def test_void_is_taken_from_predictions():
    inst_map = np.zeros((4, 10), np.int32)
    inst_map[:, :3], inst_map[:, 3:7] = 1, 255
    masks = np.stack([np.arange(40).reshape(4, 10) % 10 < 7, inst_map == 255])
    image = measure(masks, [0, 0], [.5, .9], inst_map, [1], [0])
    assert image.areas.tolist() == [12]  # the second one is all void
    assert coco_average_precision([image], 1)['AP'][0] == pytest.approx(1.)


def test_what_is_kept_is_small():
    scene = random_scene(1)
    assert len(pickle.dumps(measure(*scene))) < 2000 < scene[3].nbytes / 10


def test_no_detections_and_no_objects():
    nothing = square_scene(50, scores=())
    table = coco_average_precision([nothing], 2)
    for name in NAMES[:4]:  # category 0 has an object and 1 has none
        assert table[name][0] == 0. and np.isnan(table[name][1])
    empty = measure([], [], [], np.zeros((2, 2), np.int32), [], [])
    for images in ([], [empty]):
        table = coco_average_precision(images, 2)
        assert all(np.isnan(table[name]).all() and len(table[name]) == 2 for name in NAMES)


def test_says_nothing(capsys):
    coco_average_precision([square_scene(78)], 1)
    assert capsys.readouterr().out == ''
