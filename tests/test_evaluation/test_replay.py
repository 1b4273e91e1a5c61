import json
import pickle
import shutil
from dataclasses import dataclass

import pytest
import torch
from mmseg.registry import TASK_UTILS

from mmseg_instbox.core.base_grouper import category_map
from mmseg_instbox.core.groupers import configured_grouper
from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import DumpedSamples, InstBoxMetric, PredictionDump
from mmseg_instbox.evaluation.prediction_dump import image_file, write_image, write_index
from mmseg_instbox.evaluation.replay import Regroup, map_samples, replay

CONFIGS = (dict(type='PixelBoxGrouper'), dict(type='PixelBoxGrouper', min_gain=0.9),
           dict(type='BoxNMSGrouper'))
TINY = ('background', 'square', 'disc')


@pytest.fixture(scope='module')
def samples(tiny_config, tiny_dump):
    return DumpedSamples.from_config(load_config(str(tiny_config)), tiny_dump)


def regroupers(samples):
    return [Regroup(TASK_UTILS.build(dict(config)), samples.thing_ids) for config in CONFIGS]


def evaluate(metric, images, meta):
    """A metric's figures of samples."""
    metric.dataset_meta = meta
    metric.process({}, list(images))
    return metric.evaluate(4)


def test_figures_are_those_of_the_metric(samples):
    figures = replay(samples, regroupers(samples))
    for variant, replayed in zip(regroupers(samples), figures, strict=True):
        images = [variant(samples[index]) for index in range(4)]
        assert replayed == evaluate(InstBoxMetric(), images, samples.dataset_meta)
    assert 0 < figures[0]['APr_0.5'] != figures[1]['APr_0.5']  # the settings matter here


def test_figures_survive_the_dump(samples, tmp_path):
    random, exact = torch.Generator().manual_seed(5), []
    for sample in map(samples.__getitem__, range(4)):
        probs, boxes = sample['pred_probs']['data'], sample['pred_boxes']['data']
        probs = (probs.log() + 0.3 * torch.randn(probs.shape, generator=random)).softmax(0)
        boxes = boxes + torch.randn(boxes.shape, generator=random)
        write_image(tmp_path / image_file(sample['img_path']), probs, boxes, (64, 64))
        seg_map = category_map(probs, (64, 64), (64, 64))[None]
        exact.append(dict(sample, pred_probs=dict(data=probs), pred_boxes=dict(data=boxes),
                          pred_sem_seg=dict(data=seg_map)))
    write_index(tmp_path, samples.dump.img_paths, classes=TINY, thing_classes=TINY[1:])
    dumped = DumpedSamples(samples.dataset, PredictionDump(tmp_path))
    figures = replay(dumped, regroupers(samples))
    for its, variant in zip(figures, regroupers(samples), strict=True):
        expected = evaluate(InstBoxMetric(), map(variant, exact), samples.dataset_meta)
        assert its == pytest.approx(expected, abs=1e-3)
    assert figures[0]['APr_0.5'] > 0.5


@dataclass(frozen=True)
class FailsOn:
    """An error of one image, in whatever process."""
    name: str

    def __call__(self, sample):
        if sample['img_path'].endswith(self.name):
            raise ValueError(f'{self.name}: cannot be used')
        return sample['img_path'][-7:]


def test_results_come_in_order_and_errors_get_through(samples, capsys):
    assert map_samples(FailsOn('none'), samples) == ['004.jpg', '005.jpg', '006.jpg', '007.jpg']
    assert '4/4' in capsys.readouterr().err
    with pytest.raises(ValueError, match='006.jpg: cannot be used'):
        map_samples(FailsOn('006.jpg'), samples)


def test_the_grouper_is_that_of_the_model(tiny_config):
    cfg = load_config(str(tiny_config), {'model.grouper.min_gain': 0.3})
    assert configured_grouper(cfg)['min_gain'] == 0.3
    del cfg.model['grouper']
    assert configured_grouper(cfg) == dict(type='PixelBoxGrouper')


@pytest.fixture
def cfg(tiny_config):
    return load_config(str(tiny_config))


@pytest.fixture
def change_index(tiny_dump, tmp_path):
    """A function that copies the dump with another index."""

    def change(**content):
        folder = shutil.copytree(tiny_dump, tmp_path / 'dump')
        index = json.loads((folder / 'index.json').read_text())
        (folder / 'index.json').write_text(json.dumps(index | content))
        return folder

    return change


def test_a_sample_holds_truth_and_prediction(cfg, tiny_dump):
    samples, dump = DumpedSamples.from_config(cfg, tiny_dump), PredictionDump(tiny_dump)
    assert len(samples) == 4 and samples.thing_ids == [1, 2]
    for index in range(4):
        sample, predicted = samples[index], dump[index]
        assert sample['img_path'] == predicted['img_path']
        assert sample['img_path'].endswith(f'{index + 4:03d}.jpg')
        assert torch.equal(sample['pred_probs']['data'], predicted['probs'])
        assert torch.equal(sample['pred_boxes']['data'], predicted['boxes'])
        assert sample['grid_extent'] == (64, 64)
        expected = category_map(predicted['probs'], (64, 64), (64, 64))
        assert torch.equal(sample['pred_sem_seg']['data'], expected[None])
        assert sample['gt_sem_seg']['data'].shape == sample['gt_inst_map']['data'].shape
        assert sample['gt_instances']['ids'].tolist() == [1, 2, 3]


def test_samples_travel_to_other_processes(cfg, tiny_dump):
    samples = DumpedSamples.from_config(cfg, tiny_dump)
    copied = pickle.loads(pickle.dumps(samples))
    assert len(copied) == len(samples)
    assert torch.equal(copied[2]['gt_inst_map']['data'], samples[2]['gt_inst_map']['data'])


def test_a_dump_of_other_images_is_refused(cfg, tiny_dump):
    cfg.test_dataloader.dataset.ann_file = 'ImageSets/Segmentation/train.txt'
    with pytest.raises(ValueError, match=r"the dump has 4 images \['004.jpg', .*\], the data set 4 "
                       r"\['000.jpg', .*\]; give the config and the --cfg-options"):
        DumpedSamples.from_config(cfg, tiny_dump)


def test_a_dump_in_another_order_or_of_fewer_images_is_refused(cfg, tiny_dump, change_index):
    paths = PredictionDump(tiny_dump).img_paths
    with pytest.raises(ValueError, match=r"4 images \['007.jpg', '006.jpg'"):
        DumpedSamples.from_config(cfg, change_index(images=paths[::-1]))
    dump = PredictionDump(tiny_dump)
    dump.img_paths = []
    with pytest.raises(ValueError, match=r'has 0 images \[\], the data set 4'):
        DumpedSamples(DumpedSamples.from_config(cfg, tiny_dump).dataset, dump)


def test_a_dump_of_other_categories_is_refused(cfg, change_index):
    folder = change_index(classes=['background', 'square', 'ring'])
    with pytest.raises(ValueError, match=r"the dump has 3 classes .*'ring'.*, the data set 3 "
                       r".*'disc'.*; give the config"):
        DumpedSamples.from_config(cfg, folder)
