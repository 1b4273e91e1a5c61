"""COCO's figures of objects in maps: against pycocotools used as its manual says, and by hand."""
import json
import pickle

import numpy as np
import pytest
import torch
from metric_samples import META, evaluate, make_sample, random_sample
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmseg_instbox.evaluation import InstCocoMetric

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


def table(scenes, tmp_path, things=('a', 'b', 'c')):
    """The six figures of each category; nan where they are not defined."""
    metric = InstCocoMetric(out_file=str(tmp_path / 'figures.json'))
    meta = dict(classes=('background', *things), thing_classes=things)
    figures = evaluate([sample_of(*scene) for scene in scenes], [metric], meta)
    rows = json.loads((tmp_path / 'figures.json').read_text())['categories'][1:]
    found = {key: np.array([row[key] for row in rows], float) for key in figures}
    for key, values in found.items():
        assert figures[key] == (0 if np.isnan(values).all() else np.nanmean(values))
    return found


def sample_of(masks, labels, scores, inst_map, ids, gt_labels):
    inst_map = np.asarray(inst_map)
    order = np.argsort(ids)
    assert np.asarray(ids)[order].tolist() == np.setdiff1d(inst_map, [0, 255]).tolist()
    return make_sample(inst_map, np.asarray(gt_labels, int)[order], masks, np.asarray(labels, int),
                       scores, sem_seg=torch.zeros(inst_map.shape, dtype=torch.int64))


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
    found = table(scenes, tmp_path)
    assert list(found) == NAMES
    means = [np.nanmean(found[name]) for name in NAMES]
    assert means == pytest.approx(run_pycocotools(scenes, tmp_path), abs=1e-12)
    assert 0.02 < min(means) and max(means) < 0.98
    for label in range(3):
        expected = run_pycocotools(scenes, tmp_path, [label])
        assert [found[name][label] for name in NAMES] == pytest.approx(expected, abs=1e-12)


def square_scene(pixels, scores=(1., )):
    """An object of 10 x 10 pixels and detections that cover so many of its pixels."""
    inst_map = np.zeros((20, 20), np.int32)
    inst_map[5:15, 5:15] = 7
    mask = (inst_map == 7) & ((inst_map == 7).cumsum().reshape(20, 20) <= pixels)
    return [mask] * len(scores), [0] * len(scores), scores, inst_map, [7], [0]


def test_by_hand(tmp_path):
    # IoU 0.78 is enough at 0.5, 0.55, ..., 0.75: 6 of 10 thresholds
    found = table([square_scene(78)], tmp_path)
    assert [found[name][0] for name in NAMES[:4]] == pytest.approx([0.6, 1., 1., 0.6], abs=1e-12)
    # the object is small; there is none of the other sizes
    assert np.isnan([found['AP_m'][0], found['AP_l'][0]]).all()


def test_coco_figures_are_of_the_instances_of_apr():
    # 78 of 100 pixels found: 6 of COCO's thresholds; a second image adds a false one in the void
    inst_map = np.zeros((10, 12), int)
    inst_map[:, :10], inst_map[:, 11] = 1, 255
    mask = np.arange(120).reshape(10, 12) // 12 + 10 * (np.arange(12) % 12) < 78
    sample = make_sample(inst_map, [0], [mask & (inst_map == 1)], [0], [.5])
    void = make_sample(inst_map, [0], [inst_map == 255, inst_map == 1], [0, 0], [.9, .8])
    figures = evaluate([sample, void], [InstCocoMetric()])
    assert list(figures) == NAMES
    # both found up to 0.75, then the second only, which comes first: recall 1/2 is 51 of 101
    high = pytest.approx(.6 + .4 * 51 / 101, abs=1e-9)
    assert [figures[key] for key in NAMES] == [high, 1., 1., high, 0., 0.]


@pytest.mark.parametrize('num_false, expected', [(99, 1 / 100), (100, 0.)])
def test_hundred_detections_of_an_image_and_category_count(num_false, expected, tmp_path):
    inst_map = np.zeros((2, 8), np.int32)
    inst_map[:, :4] = 1
    masks = [inst_map == 1] + [inst_map == 0] * num_false
    scene = masks, [0] * len(masks), [.1] + [.9] * num_false, inst_map, [1], [0]
    assert table([scene], tmp_path)['AP'][0] == pytest.approx(expected, abs=1e-12)


def test_areas_are_those_of_masks(tmp_path):
    # a thin cross has a large box (100 x 100) and a small mask
    inst_map = np.zeros((120, 120), np.int32)
    inst_map[10:110, 60], inst_map[60, 10:110] = 1, 1
    found = table([([inst_map == 1], [0], [1.], inst_map, [1], [0])], tmp_path)
    assert found['AP_s'][0] == pytest.approx(1.) and np.isnan(found['AP_l'][0])


def test_void_is_taken_from_predictions(tmp_path):
    inst_map = np.zeros((4, 10), np.int32)
    inst_map[:, :3], inst_map[:, 3:7] = 1, 255
    masks = np.stack([np.arange(40).reshape(4, 10) % 10 < 7, inst_map == 255])
    # the second one is all void
    found = table([(masks, [0, 0], [.5, .9], inst_map, [1], [0])], tmp_path)
    assert found['AP'][0] == pytest.approx(1.)


def test_what_is_kept_is_small():
    metric, sample = InstCocoMetric(), random_sample(1, size=(480, 600))
    metric.dataset_meta = META
    sample.pred_instances = sample.pred_instances[[-1]]
    metric.process({}, [sample.to_dict()])
    assert len(pickle.dumps(metric.results)) < 3000


def test_no_detections_and_no_objects(tmp_path):
    found = table([square_scene(50, scores=())], tmp_path, ('a', 'b'))
    for name in NAMES[:4]:  # the first category has an object and the second has none
        assert found[name][0] == 0. and np.isnan(found[name][1])
    found = table([([], [], [], np.zeros((2, 2), np.int32), [], [])], tmp_path)
    assert all(np.isnan(found[name]).all() for name in NAMES)


def test_predictions_and_objects_are_written_in_cocos_format(tmp_path):
    prefix = tmp_path / 'coco'
    metric = InstCocoMetric(outfile_prefix=str(prefix))
    evaluate([sample_of(*square_scene(78, (.5, .25)))], [metric],
             dict(classes=('background', 'a'), thing_classes=('a', )))
    truth = COCO(f'{prefix}.gt.json')
    assert truth.dataset['categories'] == [dict(id=0, name='a')]
    found = truth.loadRes(f'{prefix}.segm.json')
    assert [each['score'] for each in found.anns.values()] == [.5, .25]
    assert found.annToMask(found.anns[1]).sum() == 78 and truth.anns[1]['bbox'] == [5, 5, 10, 10]
