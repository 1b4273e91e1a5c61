"""``InstCocoMetric`` with COCO's own file as ground truth."""
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_samples import (
    META,
    evaluate,
    image_id,
    official_meta,
    official_samples,
    write_official,
)
from mmengine.structures import PixelData
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmseg_instbox.evaluation import InstCocoMetric

KEYS = ['AP', 'AP50', 'AP75', 'AP_s', 'AP_m', 'AP_l']


@pytest.fixture
def ann_file(tmp_path):
    return write_official(tmp_path / 'official.json', range(12))


def official(ann_file, samples, meta=None):
    return evaluate(samples, [InstCocoMetric(ann_file=ann_file)],
                    official_meta() if meta is None else meta)


def run_pycocotools(ann_file, samples):
    """AP, AP50, AP75 and AP_s of the two things, the categories merged in pycocotools' own set."""
    truth = COCO(ann_file)
    truth.dataset['categories'] = [dict(id=0), dict(id=1)]
    for each in truth.dataset['annotations']:
        each['category_id'] = official_meta()['category_ids'][each['category_id']]
    truth.createIndex()
    found = [
        dict(image_id=sample.img_id, category_id=int(label), score=float(score),
             segmentation=mask_api.encode(np.asfortranarray(mask.numpy(), dtype=np.uint8)))
        for sample in samples for mask, label, score in zip(
            *(sample.pred_instances[key] for key in ('masks', 'labels', 'scores')), strict=True)
    ]
    evaluation = COCOeval(truth, truth.loadRes(found), 'segm')
    evaluation.params.imgIds = sorted(sample.img_id for sample in samples)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:4]


@pytest.mark.parametrize('seeds', [range(12), range(10, 2, -3)])
def test_agrees_with_pycocotools(ann_file, seeds):
    samples = official_samples(seeds)
    figures = official(ann_file, samples)
    expected = run_pycocotools(ann_file, samples)
    assert [figures[key] for key in KEYS[:4]] == pytest.approx(expected, abs=1e-9)
    assert 0.01 < min(expected) and max(expected) < 0.95


def test_figures_of_the_maps_differ(ann_file):
    samples = official_samples(range(12))
    figures, rasterised = official(ann_file, samples), evaluate(samples, [InstCocoMetric()])
    assert list(figures) == list(rasterised) == KEYS
    assert {key for key in KEYS if figures[key] != rasterised[key]} == {
        'AP', 'AP50', 'AP75', 'AP_s'}


@pytest.mark.parametrize('missing', [('area', ), ('iscrowd', ), ('area', 'iscrowd')])
def test_area_and_iscrowd_may_be_missing(ann_file, tmp_path, missing):
    content = json.loads(Path(ann_file).read_text())
    content['annotations'] = [each for each in content['annotations'] if not each['iscrowd']]
    files = tmp_path / 'whole.json', tmp_path / 'without.json'
    files[0].write_text(json.dumps(content))
    for each, key in product(content['annotations'], missing):
        del each[key]
    files[1].write_text(json.dumps(content))
    samples = official_samples(range(12))
    whole, without = (official(str(file), samples) for file in files)
    assert without == whole and whole['AP_s'] > 0.01


def test_void_is_not_taken_from_predictions(ann_file):
    samples = official_samples([3])
    metric = InstCocoMetric(ann_file=ann_file)
    metric.dataset_meta = official_meta()
    metric.process({}, [samples[0].to_dict()])
    areas = [int(mask_api.area(code)) for code in metric.results[0][1]['masks']]
    assert areas == samples[0].pred_instances.masks.sum((1, 2)).tolist()
    void = samples[0].gt_inst_map.data == 255
    assert (samples[0].pred_instances.masks & void).any()


def test_images_without_predictions_count(ann_file):
    samples = official_samples(range(4))
    some = official(ann_file, samples)
    nothing = official_samples([4, 5])
    for sample in nothing:
        sample.pred_instances = sample.pred_instances[torch.zeros(
            len(sample.pred_instances), dtype=torch.bool)]
    assert official(ann_file, samples + nothing)['AP'] < some['AP']
    assert [official(ann_file, nothing)[key] for key in KEYS] == [0.] * 6


def test_the_order_of_the_images_does_not_matter(ann_file):
    samples = official_samples(range(12))
    figures, turned = official(ann_file, samples), official(ann_file, samples[::-1])
    assert [figures[key] for key in KEYS] == [turned[key] for key in KEYS]


def test_an_image_that_comes_twice(ann_file):
    with pytest.raises(ValueError, match=f'id {image_id(1)} was evaluated twice'):
        official(ann_file, official_samples([0, 1, 2, 1]))


def test_sample_without_image_id(ann_file):
    sample = official_samples([0])[0]
    del sample.img_id
    with pytest.raises(ValueError, match='picture.jpg has no img_id, .*CocoInstDataset'):
        official(ann_file, [sample])


def test_unknown_image(ann_file):
    sample = official_samples([0])[0]
    sample.set_metainfo(dict(img_id=1))
    with pytest.raises(ValueError, match='official.json has no image of id 1'):
        official(ann_file, [sample])


def test_metainfo_without_category_ids(ann_file):
    with pytest.raises(ValueError, match='official.json: .* no category_ids'):
        official(ann_file, official_samples([0]), META)


def test_predictions_of_another_size_than_the_file_says(ann_file):
    sample = official_samples([0])[0]
    crop = (slice(None), slice(0, 11))
    for key in ('gt_sem_seg', 'gt_inst_map', 'pred_sem_seg'):
        sample.set_field(PixelData(data=sample.get(key).data[crop]), key)
    sample.pred_instances.masks = sample.pred_instances.masks[crop]
    with pytest.raises(ValueError, match=r'has size \(11, 15\) .* its ground truth \(12, 15\)'):
        official(ann_file, [sample])


def test_a_missing_or_foreign_file_is_said_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match='no.json: no such annotation file'):
        InstCocoMetric(ann_file='no.json')
    (tmp_path / 'captions.json').write_text('{"annotations": []}')
    with pytest.raises(ValueError, match="captions.json: .*'images'"):
        InstCocoMetric(ann_file=str(tmp_path / 'captions.json'))
