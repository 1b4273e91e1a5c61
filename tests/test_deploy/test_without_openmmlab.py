"""What runs an exported model imports nothing of OpenMMLab, and starts fast."""
import json
import os
import subprocess
import sys
import time

import pytest

from mmseg_instbox.apis import InstBoxInferencer

WITHOUT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('mmseg', 'mmdet', 'mmengine', 'mmcv', 'onnx'):
            raise ImportError(f'{name} must not be imported')

sys.meta_path.insert(0, Refuse())
"""
PREDICT = """
import json
from mmseg_instbox.deploy import ExportedModel
model = ExportedModel(sys.argv[1])
print(json.dumps(model(sys.argv[2], score_thr=0)['predictions'][0]))
"""


def run(repo, code: str, *arguments: object) -> str:
    done = subprocess.run([sys.executable, '-c', code, *map(str, arguments)], capture_output=True,
                          text=True, env=dict(os.environ, PYTHONPATH=str(repo)), timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_refused_indeed(repo):
    for name in ('mmseg', 'mmdet.apis', 'mmengine', 'mmcv'):
        with pytest.raises(AssertionError, match='must not be imported'):
            run(repo, WITHOUT + f'import {name}')


def test_a_prediction_without_openmmlab_is_that_with_it(repo, file, photos):
    found = json.loads(run(repo, WITHOUT + PREDICT, file, photos[0]))
    eager = InstBoxInferencer(file, show_progress=False)
    expected = eager(photos[0], score_thr=0)['predictions'][0]
    assert found.keys() == expected.keys() and len(found['labels']) > 0
    assert found['label_names'] == expected['label_names'] and found['masks'] == expected['masks']
    assert found['scores'] == pytest.approx(expected['scores'], abs=1e-5)


def test_the_first_result_comes_soon(repo, onnx_file, photos):
    """3 seconds on an idle machine, of which importing torch is most: no more than 2.5 times what
    torch and the runtime take by themselves."""
    def seconds(code: str) -> float:
        begin = time.perf_counter()
        run(repo, code, onnx_file, photos[0])
        return time.perf_counter() - begin

    bare = 'import sys, torch, cv2, onnxruntime, PIL.Image, pycocotools.mask'
    assert any(seconds('import sys' + PREDICT) < 2.5 * seconds(bare) for _ in range(3))
