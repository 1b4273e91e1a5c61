import json

import pytest
from mmseg.registry import DATASETS
from own_pictures import add_object, write_images

from mmseg_instbox.apis.own_data import OwnData, only_categories
from mmseg_instbox.apis.training_recipe import choose_recipe, training_config_of
from mmseg_instbox.datasets.annotation_formats import AnnotatedImages


def part(size, box, number=10):
    table = dict(images=[dict(id=i, file_name=f'{i}.png', width=size, height=size // 2)
                         for i in range(number)], annotations=[], categories=[dict(id=1, name='a')])
    for image in range(number):
        add_object(table, image, 1, (0, 0, box, box))
    return AnnotatedImages(None, table)


@pytest.mark.parametrize('size, box, side', [
    (1000, 500, 512),  # large objects need no larger input
    (1000, 70, 576),  # 40 pixels for each
    (4000, 40, 1120),  # as far as time allows: the pixels of 800 x 800
    (100, 10, 160),  # small images are enlarged a little
])
def test_the_input_shows_small_objects(monkeypatch, size, box, side):
    monkeypatch.setattr('mmseg_instbox.apis.training_recipe.get_device', lambda: 'cpu')
    assert choose_recipe(part(size, box), 10).side == side


def test_time_and_number_of_images_decide_on_length_and_augmentation():
    few, many = choose_recipe(part(500, 100), 10), choose_recipe(part(500, 100, 300), 10)
    assert few.few_images and not many.few_images and few.minutes == 10
    assert few.max_validated in (round(200 / 0.625), round(2000 / 0.625))
    exact = choose_recipe(part(500, 100, 30), 10, epochs=5)
    assert exact.minutes is None and exact.max_validated is None
    assert exact.max_iters == 5 * -(-30 // exact.batch)


def test_large_inputs_and_images_are_validated_in_smaller_numbers(monkeypatch):
    monkeypatch.setattr('mmseg_instbox.apis.training_recipe.get_device', lambda: 'cpu')
    large = part(800, 8)
    assert choose_recipe(large, 10).max_validated == 74  # 200 / (1120 * 560 / 512**2 + 0.32)
    assert choose_recipe(large, 1000).max_validated == 74
    assert choose_recipe(large, 0.1).max_validated == 20
    assert choose_recipe(part(4000, 2000), 10).max_validated == round(200 / 8.5)


def test_each_category_counts_alike_for_the_input(monkeypatch):
    monkeypatch.setattr('mmseg_instbox.apis.training_recipe.get_device', lambda: 'cpu')
    images = part(1000, 60)
    assert choose_recipe(images, 10).side == 672
    for category in (2, 3, 4, 5):
        add_object(images.coco, 0, category, (0, 0, 300, 300))
    assert choose_recipe(images, 10).side == 512


def test_panoramas_get_as_many_pixels_as_other_images(monkeypatch):
    monkeypatch.setattr('mmseg_instbox.apis.training_recipe.get_device', lambda: 'cpu')
    wide = part(8000, 100)
    for row in wide.coco['images']:
        row['height'] = 1000
    recipe = choose_recipe(wide, 10)
    assert recipe.side == 2272 and recipe.side**2 / 8 == pytest.approx(800**2, rel=0.02)
    assert recipe.usual_object == pytest.approx(28.4)


@pytest.mark.parametrize('device, workers', [('cpu', 2), ('cuda', 8)])
def test_a_gpu_has_more_processes_that_load(monkeypatch, device, workers):
    monkeypatch.setattr('mmseg_instbox.apis.training_recipe.get_device', lambda: device)
    monkeypatch.setattr('os.cpu_count', lambda: 16)
    assert choose_recipe(part(500, 100), 10).workers == workers
    monkeypatch.setattr('os.cpu_count', lambda: None)
    assert choose_recipe(part(500, 100), 10).workers == 1


@pytest.mark.parametrize('fast, settings', [
    (True, dict(type='AmpOptimWrapper', dtype='bfloat16')), (False, dict(type='OptimWrapper'))])
def test_bfloat16_where_it_is_fast(monkeypatch, tmp_path, fast, settings):
    monkeypatch.setattr('mmseg_instbox.apis.training_recipe.has_fast_bfloat16', lambda: fast)
    data = part(500, 100)
    data.root = tmp_path
    own = OwnData(dict(train=data, val=data), [])
    cfg = training_config_of(choose_recipe(data, 10), own, {}, tmp_path, None, 0)
    wrapper = cfg.optim_wrapper
    assert {key: wrapper[key] for key in ('type', 'dtype') if key in wrapper} == settings
    assert wrapper.optimizer.type == 'AdamW' and 'decode_head' in wrapper.paramwise_cfg.custom_keys


def test_the_data_sets_of_the_config_load(tmp_path):
    folder = write_images(tmp_path / 'data', 4)
    table = json.loads((folder / '_annotations.coco.json').read_text())
    own = OwnData({name: only_categories(AnnotatedImages(folder, table), ['star', 'disc'])
                   for name in ('train', 'val')}, [])
    own.write(tmp_path / 'annotations')
    recipe = choose_recipe(own.parts['train'], 1)
    cfg = training_config_of(recipe, own, dict(type='InstBoxSegmentor'), tmp_path, None, 3)
    for loader, count in ((cfg.train_dataloader, 4), (cfg.val_dataloader, 4)):
        dataset = DATASETS.build(loader.dataset)
        sample = dataset[0]['data_samples']
        assert len(dataset) == count and dataset.metainfo['thing_classes'] == ('star', 'disc')
    assert sorted(sample.gt_instances.labels.tolist()) == [0, 1]
    assert cfg.randomness.seed == 3 and cfg.default_hooks.checkpoint.save_best == 'APr_vol'
