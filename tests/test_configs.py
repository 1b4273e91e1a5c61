"""Every config loads, is listed, and fits its data set."""
import re

import pytest
import yaml
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS

INSTBOX = ('instbox', 'instbox/ablations', 'instbox/any_model')
FOLDERS = ('fcrn', *INSTBOX)


@pytest.mark.parametrize('folder', FOLDERS)
def test_each_config_is_listed_in_readme_and_metafile(repo, folder):
    folder = repo / 'configs' / folder
    files = {file.stem for file in folder.glob('*.py')}
    models = yaml.safe_load((folder / 'metafile.yaml').read_text())['Models']
    assert sorted(model['Name'] for model in models) == sorted(files)
    listed = re.findall(r'\]\(([\w.-]+)\.py\)', (folder / 'README.md').read_text())
    assert sorted(listed) == sorted(files)


def read(repo, folder, part=''):
    return {file.stem: Config.fromfile(file)
            for file in sorted((repo / 'configs' / folder).glob('*.py')) if part in file.stem}


def metainfo(cfg):
    given = dict(cfg.test_dataloader.dataset.get('metainfo', {}))
    if 'classes' in given:  # other categories, which are things but for the background
        return dict(thing_classes=[name for name in given['classes'] if name != 'background'],
                    **given)
    return DATASETS.get(cfg.test_dataloader.dataset.type).METAINFO | given


def test_each_category_network_builds_with_the_categories_of_its_data(repo):
    configs = read(repo, 'fcrn')
    assert len(configs) == 10
    for name, cfg in configs.items():
        assert cfg.model.decode_head.num_classes == len(metainfo(cfg)['classes']), name
        deep = 'r101' in name
        assert ('resnet101' in cfg.model.backbone.init_cfg.checkpoint) == deep
        cfg.model.backbone.update(init_cfg=None, base_channels=4, stem_channels=4)
        cfg.model.decode_head.update(in_channels=128)
        model = MODELS.build(cfg.model)
        assert len(model.backbone.layer3) == (23 if deep else 6)


def test_instances_are_of_the_things_of_the_data(repo):
    for folder in INSTBOX:
        for name, cfg in read(repo, folder).items():
            meta = metainfo(cfg)
            things = [list(meta['classes']).index(thing) for thing in meta['thing_classes']]
            given = cfg.model.get('thing_ids') or list(range(1, cfg.model.decode_head.num_classes))
            assert given == things, name


def test_pretraining_on_coco_leads_to_the_config_that_goes_on(repo):
    for name, cfg in read(repo, 'instbox', 'coco-pretrained').items():
        folder, file = cfg.load_from.split('/')[1:]
        before = Config.fromfile(repo / 'configs' / 'instbox' / f'{folder}.py')
        assert file == f'iter_{before.train_cfg.max_iters}.pth'
        assert before.train_cfg.max_iters % before.default_hooks.checkpoint.interval == 0
        assert before.model == cfg.model and metainfo(before) == metainfo(cfg), name


def test_schedules_agree_with_themselves(repo):
    for folder in FOLDERS:
        for name, cfg in read(repo, folder, '8xb').items():
            length = int(re.search(r'-(\d+)k_', name).group(1)) * 1000
            assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == length
            batch = int(re.search(r'8xb(\d+)', name).group(1))
            assert cfg.train_dataloader.batch_size == batch, name
