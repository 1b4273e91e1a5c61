"""The commands of pages for beginners run, in the order of each page, on tiny images."""
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmseg.registry import DATASETS, MODELS

from mmseg_instbox.apis import own_data_training
from mmseg_instbox.cli.main import cli
from mmseg_instbox.engine import build_network, config_to_json, load_config

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / 'docs' / 'own_data.md'
PAGES = (PAGE, REPO / 'README.md', *(REPO / 'docs' / f'{name}.md' for name in (
    'quickstart', 'formats', 'bulk')))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_apis'))  # own_pictures
QUICK = ['--epochs', '1', '--cfg-options', *(
    f'{part}_dataloader.{setting}' for part in ('train', 'val', 'test')
    for setting in ('num_workers=0', 'persistent_workers=False'))]


def commands(page: Path) -> list[str]:
    """The commands of a page, without comments; not those that go on, or need a server."""
    blocks = re.findall(r'```bash\n(.*?)```', page.read_text(), re.S)
    lines = [line.split('  #')[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(('instbox ', 'labelme '))
            and not re.search('^instbox serve|s3://|--engine ray', line)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """The folder in which each page has one of its own."""
    return tmp_path_factory.mktemp('page')


@pytest.fixture(scope='module')
def results(folder, tiny_config) -> dict[str, Result]:
    """What each command of ``instbox`` gave."""
    from own_pictures import write_images
    MMLogger.get_current_instance()
    cfg = load_config(str(tiny_config))
    for part in (cfg.model.backbone, cfg.model.decode_head, cfg.model.box_head):
        part.norm_cfg.type = 'BN'
    base = folder / 'base.pth'
    torch.save(dict(state_dict=build_network(cfg).state_dict(), meta=dict(
        config_json=config_to_json(cfg), dataset_meta=dict(
            classes=('background', 'square', 'disc')))), base)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(own_data_training, 'default_weights', lambda: base)
        given = {}
        for page in PAGES:
            (folder / page.stem).mkdir()
            patch.chdir(folder / page.stem)
            for name in ('my_data/images', 'first_images', 'photos'):
                write_images(Path(name), 4)
            Path('photos/_annotations.coco.json').unlink()
            Path('demo').symlink_to(REPO / 'demo')
            for command in commands(page):
                if command.startswith('labelme '):
                    correct(Path(command.split()[1]))
                elif command not in given:
                    given[command] = run(shlex.split(command)[1:], len(given))
    return given


def run(words: list[str], number: int) -> Result:
    """Run a command of ``instbox`` for a short time, with the checkpoint that is there."""
    found = sorted(Path('work_dirs').glob('*/best_*.pth'))
    words = [str(next(file for file in found if file.parent.name == Path(word).parent.name))
             if 'best_' in word else word for word in words]
    if words[0] == 'train':
        words += QUICK + [f'experiment_name=page{number}']
    elif words[0] == 'predict':
        words += ['--score-thr', '0']
    return CliRunner().invoke(cli, words)


def correct(folder: Path) -> None:
    """What a user does in LabelMe: draw the disc in each image, and delete all else."""
    for file in folder.rglob('*.json'):
        content = json.loads(file.read_text())
        assert (file.parent / content['imagePath']).is_file()
        content['shapes'] = [dict(label='disc', shape_type='polygon', group_id=None, flags={},
                                  points=[[4, 15], [26, 15], [26, 40], [4, 40]])]
        file.write_text(json.dumps(content))


def test_each_command_runs(results):
    assert len(results) >= 11
    for command, result in results.items():
        assert result.exit_code == 0, f'{command}\n{result.output[-3000:]}'


def test_records_of_bulk_prediction_are_read_as_the_page_does(results, folder, monkeypatch):
    monkeypatch.chdir(folder / 'bulk')
    names = {}
    exec(re.search(r'```python\n(.*?)```', (REPO / 'docs' / 'bulk.md').read_text(), re.S)[1], names)
    assert names['table'].column_names == ['image', 'categories', 'scores']
    assert len(names['table']) == 4


def test_the_first_command_says_what_to_do_next(results):
    output = results['instbox train my_data'].output
    assert 'instbox predict IMAGES --model work_dirs/my_data/best_APr_vol_iter_' in output
    assert len(output.splitlines()) < 60


def test_the_config_of_the_page_builds(tmp_path):
    text = re.search(r'```python\n(# my_config\.py\n.*?)```', PAGE.read_text(), re.S)[1]
    (tmp_path / 'my_config.py').write_text(text)
    cfg = Config.fromfile(tmp_path / 'my_config.py')
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True))
    assert len(dataset.metainfo['classes']) == MODELS.build(cfg.model).num_classes == 4
    assert Path(cfg.load_from).is_file()
