import pytest
import torch
from metric_samples import META, evaluate
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample

from mmseg_instbox.evaluation import DumpPixelBoxes, PredictionDump


def make_sample(name):
    sample = SegDataSample(metainfo=dict(img_path=f'folder/{name}', grid_extent=(33., 40.)))
    sample.pred_scores = PixelData(data=torch.full((4, 2, 3), .25))
    sample.pred_boxes = PixelData(data=torch.arange(24.).view(4, 2, 3))
    return sample


def test_every_image_is_dumped_in_order(tmp_path):
    samples = [make_sample(name) for name in ('b.jpg', 'a.jpg', 'c.jpg')]
    metric = METRICS.build(dict(
        type='DumpPixelBoxes', out_dir=str(tmp_path / 'new'), config='c.py', checkpoint='c.pth'))
    assert evaluate(samples, [metric]) == {}
    dump = PredictionDump(tmp_path / 'new')
    assert [dump[i]['img_path'] for i in range(3)] == ['folder/b.jpg', 'folder/a.jpg',
                                                       'folder/c.jpg']
    assert torch.equal(dump[1]['boxes'], torch.arange(24.).view(4, 2, 3))
    assert dump[1]['extent'] == (33., 40.)
    assert dump.meta == dict(version=1, config='c.py', checkpoint='c.pth',
                             classes=list(META['classes']), thing_classes=['dog', 'cat'])


def test_what_a_sampler_added_to_even_out_processes_is_dropped(tmp_path):
    samples = [make_sample(name) for name in ('a.jpg', 'b.jpg', 'a.jpg')]
    evaluate(samples, [DumpPixelBoxes(str(tmp_path))], size=2)
    assert PredictionDump(tmp_path).img_paths == ['folder/a.jpg', 'folder/b.jpg']


def test_a_run_that_is_cut_off_leaves_no_index(tmp_path):
    evaluate([make_sample('a.jpg')], [DumpPixelBoxes(str(tmp_path))])
    metric = DumpPixelBoxes(str(tmp_path))
    metric.dataset_meta = META
    metric.process({}, [make_sample('a.jpg').to_dict()])
    with pytest.raises(FileNotFoundError, match='cut off'):
        PredictionDump(tmp_path)


def test_only_names_are_kept_in_memory(tmp_path):
    metric = DumpPixelBoxes(str(tmp_path))
    metric.process({}, [make_sample('a.jpg').to_dict()])
    assert metric.results == ['folder/a.jpg']


@pytest.mark.parametrize('key', ['pred_scores', 'pred_boxes', 'grid_extent'])
def test_a_model_that_keeps_no_boxes_is_told_how(tmp_path, key):
    sample = make_sample('a.jpg').to_dict()
    del sample[key]
    with pytest.raises(ValueError, match=f'a.jpg has no {key}; .*keep_boxes=True'):
        DumpPixelBoxes(str(tmp_path)).process({}, [sample])
