"""Every config loads, is listed, and fits its data set."""
import copy
import re

import pytest
import yaml
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS

from mmseg_instbox.engine.run_config import check_save_best

FOLDERS = ('fcrn', 'instbox', 'instbox/ablations', 'instbox/any_model')


@pytest.fixture(scope='module')
def configs(repo):
    """Every config by its path below ``configs``, read once."""
    root = repo / 'configs'
    return {str(file.relative_to(root).with_suffix('')): Config.fromfile(file)
            for folder in FOLDERS for file in sorted((root / folder).glob('*.py'))}


@pytest.fixture
def models(configs):
    """Those of models that find instances."""
    return {name: cfg for name, cfg in configs.items() if name.startswith('instbox/')}


@pytest.mark.parametrize('folder', FOLDERS)
def test_each_config_is_listed_in_readme_and_metafile(repo, folder):
    folder = repo / 'configs' / folder
    files = {file.stem for file in folder.glob('*.py')}
    models = yaml.safe_load((folder / 'metafile.yaml').read_text())['Models']
    assert sorted(model['Name'] for model in models) == sorted(files)
    listed = re.findall(r'\]\(([\w.-]+)\.py\)', (folder / 'README.md').read_text())
    assert sorted(listed) == sorted(files)


def metainfo(cfg):
    given = dict(cfg.test_dataloader.dataset.get('metainfo', {}))
    if 'classes' in given:  # other categories, which are things but for the background
        return dict(thing_classes=[name for name in given['classes'] if name != 'background'],
                    **given)
    return DATASETS.get(cfg.test_dataloader.dataset.type).METAINFO | given


def test_each_category_network_builds_with_the_categories_of_its_data(configs):
    configs = {name: cfg for name, cfg in configs.items() if name.startswith('fcrn/')}
    assert len(configs) == 10
    for name, cfg in configs.items():
        assert cfg.model.decode_head.num_classes == len(metainfo(cfg)['classes']), name
        deep = 'r101' in name
        assert ('resnet101' in cfg.model.backbone.init_cfg.checkpoint) == deep
        small = copy.deepcopy(cfg.model)
        small.backbone.update(init_cfg=None, base_channels=4, stem_channels=4)
        small.decode_head.update(in_channels=128)
        model = MODELS.build(small)
        assert len(model.backbone.layer3) == (23 if deep else 6)


@pytest.fixture
def build_once(monkeypatch):
    """Builds equal models, and equal parts of different ones, once for the test."""
    build, built = MODELS.build, {}

    def build_or_take(cfg, *args, **kwargs):
        key = repr(cfg)  # before it is built, which takes the type out of some
        if key not in built:
            built[key] = build(cfg, *args, **kwargs)
        return built[key]

    monkeypatch.setattr(MODELS, 'build', build_or_take)


def test_each_model_builds_with_the_categories_of_its_data(models, repo, on_meta, build_once):
    assert len(models) == len(list((repo / 'configs' / 'instbox').rglob('*.py'))) > 80
    for name, cfg in models.items():
        model = copy.deepcopy(cfg.model)
        model.backbone.init_cfg = None
        with on_meta:
            num_classes = MODELS.build(model).num_classes
        dataset = DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=True))
        assert num_classes == len(dataset.metainfo['classes']), name


def test_instances_are_of_the_things_of_the_data(models):
    for name, cfg in models.items():
        meta = metainfo(cfg)
        things = [list(meta['classes']).index(thing) for thing in meta['thing_classes']]
        given = cfg.model.get('thing_ids') or list(range(1, cfg.model.decode_head.num_classes))
        assert given == things, name


def test_the_best_checkpoint_is_chosen_by_a_figure_that_is_reported(models):
    for name, cfg in models.items():
        assert isinstance(cfg.default_hooks.checkpoint.save_best, str), name
        check_save_best(cfg)


def test_pretraining_on_coco_leads_to_the_config_that_goes_on(configs):
    pretrained = {name: cfg for name, cfg in configs.items() if 'coco-pretrained' in name}
    assert pretrained
    for name, cfg in pretrained.items():
        folder, file = cfg.load_from.split('/')[1:]
        before = configs[f'instbox/{folder}']
        assert file == f'iter_{before.train_cfg.max_iters}.pth'
        assert before.train_cfg.max_iters % before.default_hooks.checkpoint.interval == 0
        assert before.model == cfg.model and metainfo(before) == metainfo(cfg), name


def test_schedules_agree_with_themselves(configs):
    for name, cfg in configs.items():
        batch = re.search(r'_8xb(\d+)-(\d+)k_', name)
        if batch:
            assert cfg.train_dataloader.batch_size == int(batch[1]), name
            assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 1000 * int(batch[2])
            assert cfg.auto_scale_lr.base_batch_size == 8 * int(batch[1]), name
