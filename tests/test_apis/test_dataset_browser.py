from itertools import islice

import cv2
import numpy as np
import pytest
import torch

from mmseg_instbox.apis import DatasetBrowser, browse_dataset
from mmseg_instbox.engine import load_config
from mmseg_instbox.engine.samplers import SeededInfiniteSampler

AUGMENTED = """
_base_ = '{base}'
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadInstImage'),
    dict(type='LoadInstAnnotations'),
    dict(type='RandomResize', scale=(96, 96), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(72, 72)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInstInputs')]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadInstImage'),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='LoadInstAnnotations'),
    dict(type='PackInstInputs')]))
"""


@pytest.fixture(scope='module')
def config(tiny_config, tmp_path_factory):
    file = tmp_path_factory.mktemp('browse') / 'augmented.py'
    file.write_text(AUGMENTED.format(base=tiny_config))
    return file


@pytest.fixture
def browser(config):
    return DatasetBrowser(load_config(str(config)))


def drawn_sample(browser, index, monkeypatch):
    """What a drawing of ``browser`` is made from: image, data sample and caption."""
    seen = []
    monkeypatch.setattr(browser.visualizer, 'draw_training_sample',
                        lambda *args: seen.append(args) or args[0])
    browser[index]
    return seen[0]


def test_targets_are_where_the_loss_of_the_head_is_zero(browser, monkeypatch):
    """The model's own loss, on the grid that the model itself has, of the input it would get."""
    for index in range(len(browser)):
        _, sample, *_ = drawn_sample(browser, index, monkeypatch)
        head, deltas = browser.model.box_head, sample.gt_deltas.data
        inputs = torch.zeros(1, 3, *sample.gt_inst_map.shape[-2:])
        with torch.no_grad():
            assert head(browser.model.extract_feat(inputs)).shape[-2:] == deltas.shape[-2:]
        assert (~deltas.isnan()).any()
        loss = head.loss_by_feat(deltas.nan_to_num(9.)[None], [sample])
        assert loss[head.loss_decode.loss_name] == 0 and loss['iou'] == pytest.approx(1)


def test_the_image_is_the_one_that_the_network_gets(browser, monkeypatch):
    image, sample, caption = drawn_sample(browser, 1, monkeypatch)
    index = next(islice(SeededInfiniteSampler(browser.dataset, shuffle=False, seed=0), 1, None))
    packed, = browser.dataset.__getitems__([index])  # as a run loads it
    pixels = packed['inputs'].numpy().transpose(1, 2, 0)[..., ::-1]
    height, width = pixels.shape[:2]
    assert np.array_equal(image[:height, :width], pixels)
    assert image.shape[:2] == sample.gt_inst_map.shape[-2:]  # padded as the batch is
    assert (image[height:] == 128).all() and (image[:, width:] == 128).all()
    assert caption == 'image after RandomResize, RandomCrop, RandomFlip'


def test_names_and_transforms(browser):
    assert len(browser) == 4
    assert [browser[index][0] for index in range(4)] == ['000', '001', '002', '003']
    assert browser.transforms == ['LoadInstImage', 'LoadInstAnnotations', 'RandomResize',
                                  'RandomCrop', 'RandomFlip', 'PackInstInputs']


def test_a_seed_gives_the_same_pictures_and_another_one_others(config, browser):
    again, other = (DatasetBrowser(load_config(str(config)), seed=seed) for seed in (0, 1))
    first = browser[2][1]
    assert np.array_equal(again[2][1], first)
    assert not np.array_equal(other[2][1], first)


def test_annotations_at_original_size_are_drawn_on_the_file(config, monkeypatch, tiny_voc):
    browser = DatasetBrowser(load_config(str(config)), 'val')
    image, sample, *_ = drawn_sample(browser, 0, monkeypatch)
    assert np.array_equal(image[..., ::-1], cv2.imread(str(tiny_voc / 'JPEGImages' / '004.jpg')))
    assert 'gt_boxes' not in sample and sample.gt_inst_map.shape == (64, 64)


def test_a_model_without_boxes_shows_no_targets(config, monkeypatch):
    cfg = load_config(str(config))
    cfg.model.type = 'EncoderDecoder'
    for key in ('box_head', 'grouper', 'thing_ids'):
        cfg.model.pop(key, None)
    browser = DatasetBrowser(cfg)
    _, sample, *_ = drawn_sample(browser, 0, monkeypatch)
    assert 'gt_boxes' not in sample
    assert browser.visualizer.dataset_meta['classes'] == ('background', 'square', 'disc')


def test_wrapped_data_sets_are_looked_into(config):
    cfg = load_config(str(config))
    part = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[part, part])
    browser = DatasetBrowser(cfg)
    assert len(browser) == 8 and browser.transforms[2] == 'RandomResize'
    assert browser[5][0] == '001'


def test_writes_pictures(config, tmp_path, capsys):
    assert browse_dataset(str(config), str(tmp_path / 'new'), number=3) == 3
    names = sorted(path.name for path in (tmp_path / 'new').iterdir())
    assert names == ['0000_000.jpg', '0001_001.jpg', '0002_002.jpg']
    expected = DatasetBrowser(load_config(str(config)))[1][1]
    written = cv2.imread(str(tmp_path / 'new' / '0001_001.jpg'))[..., ::-1]
    assert written.shape == expected.shape
    assert np.abs(written.astype(int) - expected).mean() < 4
    assert browse_dataset(str(config), str(tmp_path / 'all'), number=99) == 4


def test_shows_pictures(config, monkeypatch):
    shown = []
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'TkAgg')
    monkeypatch.setattr('mmengine.visualization.Visualizer.show',
                        lambda self, picture, win_name, wait_time: shown.append(
                            (win_name, wait_time, picture.ndim)))
    browse_dataset(str(config), show=True, number=2, wait_time=.5)
    assert shown == [('000', .5, 3), ('001', .5, 3)]


def test_without_a_display_nothing_is_shown(config, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'agg')
    with pytest.raises(ValueError, match='no display.*--out'):
        browse_dataset(str(config), show=True, number=2)


def test_mistakes_are_named(config, tmp_path):
    with pytest.raises(ValueError, match='neither written nor shown'):
        browse_dataset(str(config))
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match='is a file'):
        browse_dataset(str(config), str(tmp_path / 'file'))
    with pytest.raises(FileNotFoundError, match='missing.py'):
        browse_dataset('missing.py', str(tmp_path))
    with pytest.raises(ValueError, match='no train_dataloader'):
        browse_dataset(str(config), str(tmp_path), cfg_options=dict(train_dataloader=None))
    with pytest.raises(IndexError, match='has 4'):
        DatasetBrowser(load_config(str(config)))[4]
