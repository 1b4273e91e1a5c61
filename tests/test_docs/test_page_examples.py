"""Examples of pages that no other test runs."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from PIL import Image

DOCS = Path(__file__).resolve().parents[2] / 'docs'
SQUARE = [[4, 4, 40, 4, 40, 40, 4, 40]]


def blocks(page: str) -> list[str]:
    """The examples in Python of a page."""
    return re.findall(r'```python\n(.*?)```', (DOCS / page).read_text(), re.S)


@pytest.fixture
def annotated(tmp_path, monkeypatch):
    """Writes an image and a COCO JSON of an object of the first category to a page's place."""
    monkeypatch.chdir(tmp_path)

    def write(file: str, *categories: str) -> None:
        path = tmp_path / file
        (path.parent / 'images').mkdir(parents=True)
        Image.new('RGB', (64, 48)).save(path.parent / 'images' / 'a.jpg')
        path.write_text(json.dumps(dict(
            images=[dict(id=1, file_name='a.jpg', width=64, height=48)],
            annotations=[dict(id=1, image_id=1, category_id=1, segmentation=SQUARE, iscrowd=0,
                              bbox=[4, 4, 36, 36], area=1296)],
            categories=[dict(id=id, name=name) for id, name in enumerate(categories, 1)])))

    return write


def test_the_metrics_of_evaluation_are_built(annotated):
    annotated('data/coco/annotations/instances_val2017.json', 'person')
    annotated('my_data/val.json', 'cat')
    lines = {}
    exec(blocks('evaluation.md')[0], lines)
    evaluator = Evaluator([lines['val_evaluator'], *lines['test_evaluator']])
    assert [type(each).__name__ for each in evaluator.metrics] == [
        'InstBoxMetric', 'InstBoxMetric', 'InstCocoMetric', 'InstPanopticMetric', 'CocoMetric']


def test_mmdets_visualizer_draws_a_prediction(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    masks = torch.zeros(1, 48, 64, dtype=torch.bool)
    masks[0, 4:40, 4:40] = True
    found = InstanceData(masks=masks, labels=torch.tensor([0]), scores=torch.tensor([0.9]),
                         bboxes=torch.tensor([[4., 4, 40, 40]]))
    exec(blocks('evaluation.md')[1], dict(
        thing_classes=('cat', ), thing_palette=[(220, 20, 60)],
        image=np.zeros((48, 64, 3), np.uint8), sample=SegDataSample(pred_instances=found)))
    assert np.asarray(Image.open('drawn.png')).any()


def test_data_of_ones_own_in_cocos_format_are_read(annotated):
    annotated('my_data/train.json', 'cell', 'spore')
    example, = blocks('data.md')
    sample = DATASETS.build(dict(eval(example), pipeline=[
        dict(type='LoadInstImage'), dict(type='LoadInstAnnotations'),
        dict(type='PackInstInputs')]))[0]['data_samples']
    assert sample.gt_instances.labels.tolist() == [0]
