import io
import logging
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import MMLogger, print_log

from mmseg_instbox.utils.openmmlab import quiet_imports, register_packages

CLASSES = dict(
    DATASETS='VOCInstDataset', DATA_SAMPLERS='SeededInfiniteSampler', HOOKS='PlainCheckpointHook',
    LOOPS='BudgetTrainLoop', METRICS='InstBoxMetric', MODELS='PixelBoxHead',
    OPTIM_WRAPPERS='CPUAmpOptimWrapper',
    TASK_UTILS='PixelBoxGrouper', TRANSFORMS='PackInstInputs', VISUALIZERS='PixelBoxVisualizer')
HEAVY = ('torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmseg', 'mmdet')
FIRST = """
import sys
from mmseg_instbox import InstBoxError
from mmengine.config import Config
assert Config.fromfile(sys.argv[1]).model.type == 'EncoderDecoder'
import mmseg.registry as registries
"""
LAST = """
import mmseg.registry as registries
assert registries.MODELS.get('FCNHead') and registries.MODELS.get('PixelBoxHead') is None
import mmseg_instbox
"""
SCOPED = """
import mmseg_instbox.registry
registries = type('Scoped', (), mmseg_instbox.registry.SCOPED)
"""


def test_importing_the_package_imports_nothing_heavy(repo):
    code = f'import sys, mmseg_instbox; sys.exit(str(set({HEAVY}) & set(sys.modules) or ""))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(repo)))
    assert not done.stderr.strip()


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


@pytest.mark.parametrize('order', [FIRST, LAST, SCOPED], ids=['first', 'last', 'own scope'])
def test_importing_the_package_is_enough(run_fresh, tmp_path, order):
    (tmp_path / 'inherits.py').write_text("_base_ = ['mmseg::_base_/models/fcn_r50-d8.py']\n")
    code = order + f"""
for name, key in {CLASSES}.items():
    found = getattr(registries, name).get(key)
    assert found is not None and found.__module__.startswith('mmseg_instbox.'), (name, key, found)
"""
    done = run_fresh(code, tmp_path / 'inherits.py')
    assert done.returncode == 0, done.stderr


def test_notices_of_imports_are_hidden_and_later_ones_are_not():
    logger, stream = MMLogger.get_instance('quiet'), io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    with quiet_imports():
        with quiet_imports():
            print_log('hidden', 'current', logging.WARNING)
        print_log('hidden', 'current', logging.WARNING)
    print_log('shown', 'current', logging.WARNING)
    assert stream.getvalue() == 'shown\n'


def test_names_are_imported_without_notices(run_fresh):
    code = ('from mmseg_instbox.datasets import InstBoxDataset\n'
            'from mmseg_instbox.evaluation import InstBoxMetric')
    done = run_fresh(code)
    assert done.returncode == 0 and not done.stdout, done
