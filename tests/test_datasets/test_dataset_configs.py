import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS
from mmseg.registry import DATASETS, METRICS
from torch.utils.data import TensorDataset

NAMES = ['cityscapes_512x1024', 'coco-as-voc_500x500', 'coco-format_512x512', 'coco_512x512',
         'shapes_160x160', 'voc-mini_224x224', 'voc-mini_352x352', 'voc-plus_416x416',
         'voc12-sbd_500x500']


def config(repo, name):
    return Config.fromfile(repo / 'configs' / '_base_' / 'datasets' / f'{name}.py')


def test_each_config_is_tested(repo):
    found = {file.stem for file in (repo / 'configs' / '_base_' / 'datasets').glob('*.py')}
    assert found == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_loaders_pipelines_and_evaluators_can_be_built(repo, name):
    cfg = config(repo, name)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(dict(loader.dataset, lazy_init=True))
        for path in filter(None, (dataset.ann_file, *dataset.data_prefix.values())):
            assert path.startswith(cfg.data.data_root)
        DATA_SAMPLERS.build(dict(loader.sampler, dataset=TensorDataset(torch.arange(4))))
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert [train.get(key) for key in ('ann_file', 'data_prefix')] != [
        val.get(key) for key in ('ann_file', 'data_prefix')]
    assert cfg.test_dataloader.dataset.pipeline == cfg.test_pipeline
    val, test = ([each] if isinstance(each, dict) else each
                 for each in (cfg.val_evaluator, cfg.test_evaluator))
    assert test[:len(val)] == val
    for metric in test:
        metric.pop('ann_file', None)
        METRICS.build(metric)
    assert [metric.type for metric in test] == [
        'InstBoxMetric', 'InstCocoMetric', 'InstPanopticMetric']


@pytest.mark.parametrize('name', NAMES)
def test_pipelines_run_on_pictures(repo, name, tiny_voc):
    cfg = config(repo, name)
    for pipeline in (cfg.train_pipeline, cfg.test_pipeline):
        dataset = DATASETS.build(dict(
            type='InstBoxDataset', data_root=str(tiny_voc), pipeline=pipeline,
            metainfo=dict(classes=('background', 'square', 'disc'))))
        sample = dataset[0]['data_samples']
        assert {1, 2, 3} >= set(sample.gt_instances.ids.tolist())
    assert sample.gt_inst_map.data.shape == (1, 64, 64)
