"""Predictions in mmdet's evaluator, mask structures and visualizer."""
import cv2
import numpy as np
import pytest
import torch
from metric_samples import META, evaluate, random_sample
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, encode_mask_results, mask2bbox
from mmdet.visualization import DetLocalVisualizer
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmseg.registry import DATASETS
from pycocotools import mask as mask_api

from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric

NAMES = dict(AP='mAP', AP50='mAP_50', AP75='mAP_75', AP_s='mAP_s')


def predicted_sample(seed):
    """A sample without void, with all that mmdet reads of it."""
    sample = random_sample(seed)
    sample.gt_inst_map.data[sample.gt_inst_map.data == 255] = 0
    masks = sample.pred_instances.masks
    sample.pred_instances.bboxes = mask2bbox(masks)
    sample.set_metainfo(dict(img_id=seed, ori_shape=tuple(masks.shape[1:])))
    return sample


def test_coco_metric_beside_ours(tmp_path):
    init_default_scope('mmseg')
    samples, prefix = [predicted_sample(seed) for seed in range(12)], str(tmp_path / 'all')
    ours = evaluate(samples, [InstCocoMetric(outfile_prefix=prefix)])
    figures = evaluate(samples, [
        InstBoxMetric(), InstCocoMetric(),
        dict(type='mmdet.CocoMetric', metric=['segm'], ann_file=f'{prefix}.gt.json')])
    for our_name, name in NAMES.items():
        assert 0.01 < ours[our_name] == figures[our_name]
        assert figures[f'coco/segm_{name}'] == round(ours[our_name], 3)
    assert 'APr_0.5' in figures


def test_coco_metric_with_the_objects_of_the_samples(tiny_config):
    init_default_scope('mmseg')
    dataset = DATASETS.build(load_config(str(tiny_config)).test_dataloader.dataset)
    samples = [dataset[index]['data_samples'] for index in range(4)]
    for sample in samples:
        ids, labels = sample.gt_instances.ids, sample.gt_instances.labels
        masks = sample.gt_inst_map.data == ids[:, None, None]
        sample.pred_instances = InstanceData(
            masks=masks, bboxes=sample.gt_instances.bboxes, labels=labels,
            scores=torch.ones(len(ids)))
    metric = dict(type='mmdet.CocoMetric', metric=['bbox', 'segm'])
    figures = evaluate(samples, [metric], dataset.metainfo)
    assert figures['coco/bbox_mAP'] == figures['coco/segm_mAP'] == 1
    samples[0].pred_instances = samples[0].pred_instances[:0]
    assert 0.5 < evaluate(samples, [metric], dataset.metainfo)['coco/segm_mAP'] < 1


def test_mask_structures():
    instances = predicted_sample(3).pred_instances
    masks = instances.masks.numpy()
    bitmaps = BitmapMasks(masks.astype(np.uint8), *masks.shape[1:])
    assert bitmaps.areas.tolist() == masks.sum((1, 2)).tolist()
    assert torch.equal(bitmaps.get_bboxes('hbox').tensor, instances.bboxes)
    assert np.array_equal(mask_api.decode(encode_mask_results(masks)).transpose(2, 0, 1), masks)


@pytest.mark.parametrize('as_drawn', [True, False])
def test_visualizer(tmp_path, as_drawn):
    mask = torch.zeros(1, 80, 120, dtype=torch.bool)
    mask[:, 20:60, 30:90] = True
    instances = InstanceData(masks=mask, bboxes=mask2bbox(mask), labels=torch.tensor([1]),
                             scores=torch.tensor([.75 if as_drawn else .1]))
    visualizer = DetLocalVisualizer()
    palette = [(255, 0, 0), (0, 0, 255)]
    visualizer.dataset_meta = dict(classes=META['thing_classes'], palette=palette)
    image, file = np.full((80, 120, 3), 128, np.uint8), str(tmp_path / 'drawn.png')
    visualizer.add_datasample('a', image, DetDataSample(pred_instances=instances), draw_gt=False,
                              out_file=file)
    changed = (cv2.imread(file).astype(int) - 128 != 0).any(2)
    assert changed[30:50, 40:80].all() == as_drawn and not changed[:10].any()
