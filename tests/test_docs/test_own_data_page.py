"""Every command of docs/own_data.md runs, in the order of the page, on tiny images."""
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmseg.registry import DATASETS, MODELS

from mmseg_instbox.apis import own_data_training
from mmseg_instbox.cli.main import cli
from mmseg_instbox.engine import build_network, config_to_json, load_config

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'own_data.md'
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_apis'))  # own_pictures
QUICK = ['--epochs', '1', '--cfg-options', *(
    f'{part}_dataloader.{setting}' for part in ('train', 'val', 'test')
    for setting in ('num_workers=0', 'persistent_workers=False'))]


def commands() -> list[str]:
    """The commands of the page, without comments."""
    blocks = re.findall(r'```bash\n(.*?)```', PAGE.read_text(), re.S)
    return [line.split('  #')[0].strip() for block in blocks for line in block.splitlines()]


@pytest.fixture(scope='module')
def results(tmp_path_factory, tiny_config) -> dict[str, object]:
    """What each command of ``instbox`` gave."""
    from own_pictures import write_images
    MMLogger.get_current_instance()
    folder = tmp_path_factory.mktemp('page')
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
        for name in ('my_data/images', 'first_images', 'photos'):
            write_images(folder / name, 4)
        (folder / 'photos' / '_annotations.coco.json').unlink()
        given = {}
        for command in commands():
            if command.startswith('labelme '):
                correct(Path(command.split()[1]))
            if not command.startswith('instbox'):
                continue
            found = sorted(Path('work_dirs').glob('*/best_*.pth'))
            words = [str(next(file for file in found if file.parent.name == Path(word).parent.name))
                     if 'best_' in word else word for word in shlex.split(command)[1:]]
            if words[0] == 'train':
                words += QUICK + [f'experiment_name={folder.name}{len(given)}']
            elif words[0] == 'predict':
                words += ['--score-thr', '0']
            given[command] = CliRunner().invoke(cli, words)
    return given


def correct(folder: Path) -> None:
    """What a user does in LabelMe: draw the disc in each image, and delete all else."""
    for file in folder.rglob('*.json'):
        content = json.loads(file.read_text())
        assert (file.parent / content['imagePath']).is_file()
        content['shapes'] = [dict(label='disc', shape_type='polygon', group_id=None, flags={},
                                  points=[[4, 15], [26, 15], [26, 40], [4, 40]])]
        file.write_text(json.dumps(content))


def test_each_command_runs(results):
    assert len(results) >= 6
    for command, result in results.items():
        assert result.exit_code == 0, f'{command}\n{result.output[-3000:]}'


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
