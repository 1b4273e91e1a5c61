import json
import pickle
import shutil

import pytest
import torch

from mmseg_instbox.core.base_grouper import category_map
from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import DumpedSamples, PredictionDump


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
        assert torch.equal(sample['pred_scores']['data'], predicted['scores'])
        assert torch.equal(sample['pred_boxes']['data'], predicted['boxes'])
        assert sample['grid_extent'] == (64, 64)
        expected = category_map(predicted['scores'], (64, 64), (64, 64))
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
    with pytest.raises(ValueError, match=r'holds 4 images \(004.jpg to 007.jpg\), the data set 4 '
                       r'images \(000.jpg to 003.jpg\); give the config'):
        DumpedSamples.from_config(cfg, tiny_dump)


def test_a_dump_in_another_order_or_of_fewer_images_is_refused(cfg, tiny_dump, change_index):
    paths = PredictionDump(tiny_dump).img_paths
    with pytest.raises(ValueError, match=r'4 images \(007.jpg to 004.jpg\)'):
        DumpedSamples.from_config(cfg, change_index(images=paths[::-1]))
    dump = PredictionDump(tiny_dump)
    dump.img_paths = []
    with pytest.raises(ValueError, match='holds no image, the data set 4 images'):
        DumpedSamples(DumpedSamples.from_config(cfg, tiny_dump).dataset, dump)


def test_a_dump_of_other_categories_is_refused(cfg, change_index):
    folder = change_index(classes=['background', 'square', 'ring'])
    with pytest.raises(ValueError, match=r"the dump has the classes .*'ring'.*, the data set "
                       r".*'disc'.*; give the config of the dump"):
        DumpedSamples.from_config(cfg, folder)
