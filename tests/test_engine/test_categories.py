import pytest
from mmengine.config import Config

from mmseg_instbox.engine.categories import settle_categories

CLASSES = ('background', 'cell', 'dust', 'spore')


def config(head=None, things=None, metainfo=None, val=None, **model):
    meta = dict(classes=CLASSES) | ({} if things is None else dict(thing_classes=things))
    data = dict(type='InstBoxDataset', metainfo=metainfo or meta, data_root='nowhere')
    return Config(dict(
        model=dict(type='InstBoxSegmentor', decode_head=dict(head or {}),
                   auxiliary_head=[dict(type='FCNHead')], **model),
        train_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[data, data])),
        val_dataloader=dict(dataset=data | (val or {}))))


def test_the_model_takes_what_the_data_say():
    cfg = config(things=('spore', 'cell'))
    settle_categories(cfg)
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head[0].num_classes == 4
    assert cfg.model.thing_ids == [3, 1]


def test_what_agrees_stays():
    cfg = config(head=dict(num_classes=4), thing_ids=[1, 2, 3])
    settle_categories(cfg)
    assert cfg.model.thing_ids == [1, 2, 3]


@pytest.mark.parametrize('options, message', [
    (dict(head=dict(num_classes=3)),
     r'model.decode_head.num_classes is 3, but train_dataloader.* has the 4 classes \(background'),
    (dict(things=('cell', 'dust'), thing_ids=[1, 3]),
     r'model.thing_ids is \[1, 3\], but .*thing_classes \(cell, dust\), whose indices are \[1, 2'),
    (dict(val=dict(metainfo=dict(classes=CLASSES[:3]))),
     r'train_dataloader.* has the classes .*spore\), but val_dataloader.dataset has'),
])
def test_contradictions_are_refused_with_both_sides(options, message):
    with pytest.raises(ValueError, match=message):
        settle_categories(config(**options))


def test_more_categories_than_a_map_can_hold_are_refused():
    with pytest.raises(ValueError, match='more than 255 categories'):
        settle_categories(config(metainfo=dict(classes=tuple(map(str, range(256))))))


def test_models_without_instances_and_configs_without_data_pass():
    cfg = config()
    cfg.model.type = 'EncoderDecoder'
    settle_categories(cfg)
    assert 'thing_ids' not in cfg.model
    settle_categories(Config(dict(model=dict(type='InstBoxSegmentor'))))
