import os
import subprocess
import sys

import pytest

CLASSES = dict(
    DATASETS='VOCInstDataset', DATA_SAMPLERS='SeededInfiniteSampler', HOOKS='PlainCheckpointHook',
    METRICS='InstBoxMetric', MODELS='PixelBoxHead', OPTIM_WRAPPERS='CPUAmpOptimWrapper',
    TASK_UTILS='PixelBoxGrouper', TRANSFORMS='PackInstInputs', VISUALIZERS='PixelBoxVisualizer')
HEAVY = ('torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmseg', 'mmdet')
FIRST = f"""
import sys
import mmseg_instbox
assert not set({HEAVY}) & set(sys.modules)
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


@pytest.mark.parametrize('order', [FIRST, LAST, SCOPED], ids=['first', 'last', 'own scope'])
def test_registries_find_the_classes(repo, order):
    code = order + f"""
for name, key in {CLASSES}.items():
    found = getattr(registries, name).get(key)
    assert found is not None and found.__module__.startswith('mmseg_instbox.'), (name, key, found)
"""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, timeout=120,
                   env=dict(os.environ, PYTHONPATH=str(repo)))
