"""The README's examples do what it says."""
import re
from pathlib import Path

from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS


def test_the_config_for_ones_own_data_builds(repo, tmp_path):
    text = (repo / 'README.md').read_text()
    example = re.search(r'```python\n(# my_config\.py\n.*?)```', text, re.S).group(1)
    (tmp_path / 'my_config.py').write_text(example)
    cfg = Config.fromfile(tmp_path / 'my_config.py')

    model = MODELS.build(cfg.model)
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True))
    assert model.num_classes == len(dataset.metainfo['classes']) == 4
    assert model.thing_ids == dataset.thing_ids == [1, 2]
    assert dataset.data_root == 'my_data' and len(dataset.pipeline.transforms) > 4


def test_the_files_that_it_names_exist(repo):
    for page in (repo / 'README.md', *(repo / 'docs').glob('*.md')):
        links = re.findall(r'\]\((?!https?://)([^)#]+)', page.read_text())
        missing = [link for link in links if not (page.parent / Path(link)).exists()]
        assert not missing, f'{page.name} links to {missing}'


def test_every_config_loads_and_builds(repo, on_meta):
    configs = sorted((repo / 'configs' / 'instbox').rglob('*.py'))
    assert len(configs) > 80
    for file in configs:
        cfg = Config.fromfile(file)
        cfg.model.backbone.init_cfg = None
        with on_meta:
            model = MODELS.build(cfg.model)
        assert model.num_classes == len(
            DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=True)).metainfo['classes'])
