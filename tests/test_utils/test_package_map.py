import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from mmseg_instbox.utils.package_map import register_packages


def load_inheriting(directory: Path, base: str) -> Config:
    """A config file that inherits from ``base`` and nothing else."""
    file = directory / 'inherits.py'
    file.write_text(f'_base_ = [{base!r}]\n')
    return Config.fromfile(file)


def test_configs_inherit_from_mmseg_and_mmdet(tmp_path):
    cfg = load_inheriting(tmp_path, 'mmseg::_base_/models/fcn_r50-d8.py')
    assert cfg.model.decode_head.type == 'FCNHead'
    cfg = load_inheriting(tmp_path, 'mmdet::_base_/default_runtime.py')
    assert cfg.default_scope == 'mmdet'


def test_configs_inherit_from_this_package(tmp_path, repo):
    if not (repo / 'mmseg_instbox' / '.mim').is_dir():
        pytest.skip('the package is not installed (pip install -e .)')
    cfg = load_inheriting(tmp_path, 'mmseg_instbox::_base_/default_runtime.py')
    assert cfg.custom_imports.imports == ['mmseg_instbox']


def test_importing_the_package_is_enough(tmp_path, repo):
    file = tmp_path / 'inherits.py'
    file.write_text("_base_ = ['mmseg::_base_/models/fcn_r50-d8.py']\n")
    code = ('import mmseg_instbox; from mmengine.config import Config; '
            f'print(Config.fromfile({str(file)!r}).model.type)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(repo)), check=True)
    assert done.stdout.splitlines()[-1] == 'EncoderDecoder'


@pytest.mark.parametrize('installed, expected', [
    ({'onedl-mmsegmentation', 'onedl-mmdetection'}, ('onedl-mmsegmentation', 'onedl-mmdetection')),
    ({'mmsegmentation', 'mmdet'}, ('mmsegmentation', 'mmdet')),
    ({'mmsegmentation'}, ('mmsegmentation', 'untouched')),
])
def test_the_installed_distribution_is_entered(monkeypatch, installed, expected):
    def distribution(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return name

    for module in ('mmseg', 'mmdet', 'mmseg_instbox'):
        monkeypatch.setitem(MODULE2PACKAGE, module, 'untouched')
    monkeypatch.delitem(MODULE2PACKAGE, 'mmseg_instbox')
    monkeypatch.setattr(metadata, 'distribution', distribution)
    register_packages(MODULE2PACKAGE)
    assert (MODULE2PACKAGE['mmseg'], MODULE2PACKAGE['mmdet']) == expected
    assert MODULE2PACKAGE['mmseg_instbox'] == 'mmseg_instbox'
