"""The README is short and its examples, and those of the guides it leads to, do what they say."""
import re

from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS


def test_the_config_for_ones_own_data_builds(repo, tmp_path):
    text = (repo / 'docs' / 'configs.md').read_text()
    example = re.search(r'```python\n(# my_config\.py\n.*?)```', text, re.S).group(1)
    (tmp_path / 'my_config.py').write_text(example)
    cfg = Config.fromfile(tmp_path / 'my_config.py')

    model = MODELS.build(cfg.model)
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True))
    assert model.num_classes == len(dataset.metainfo['classes']) == 4
    assert model.thing_ids == dataset.thing_ids == [1, 2]
    assert dataset.data_root == 'my_data' and len(dataset.pipeline.transforms) > 4


def test_it_is_short_and_its_config_builds(repo, tmp_path, on_meta):
    text = (repo / 'README.md').read_text()
    assert len(text.splitlines()) <= 150
    (tmp_path / 'my_pspnet.py').write_text(
        re.search(r'```python\n(# a model file of mmseg.*?)```', text, re.S).group(1))
    cfg = Config.fromfile(tmp_path / 'my_pspnet.py')
    cfg.model.pretrained = None
    with on_meta:
        assert MODELS.build(cfg.model).num_classes == 21


def test_its_three_lines_find_the_cat(repo, monkeypatch):
    monkeypatch.chdir(repo)
    names = {}
    lines = re.search(r'```python\n(from mmseg_instbox.*?)```', (repo / 'README.md').read_text(),
                      re.S).group(1)
    assert lines in (repo / 'docs' / 'quickstart.md').read_text()
    exec(lines, names)
    assert 'cat' in names['found']['label_names']
