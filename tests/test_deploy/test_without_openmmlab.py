"""What runs an exported model imports nothing of OpenMMLab, and starts fast."""
import json
import os
import subprocess
import sys
import time

import cv2
import pytest

from mmseg_instbox.apis import InstBoxInferencer, write_results

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
COMMAND = """
from mmseg_instbox.cli.main import cli
cli(sys.argv[1:], standalone_mode=False)
"""
LIGHT = """
needless = {'pandas', 'matplotlib', 'scipy', 'rich'} & set(sys.modules)
assert not needless, needless
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


def test_a_prediction_without_openmmlab_is_that_with_it(run_fresh, file, photos):
    done = run_fresh(WITHOUT + PREDICT, file, photos[0])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    eager = InstBoxInferencer(file, show_progress=False)
    expected = eager(photos[0], score_thr=0)['predictions'][0]
    assert found.keys() == expected.keys() and len(found['labels']) > 0
    assert found['label_names'] == expected['label_names'] and found['masks'] == expected['masks']
    assert found['scores'] == pytest.approx(expected['scores'], abs=1e-5)


def test_the_command_predicts_and_draws_without_openmmlab(repo, file, photos, tmp_path):
    run(repo, WITHOUT + COMMAND + LIGHT, 'predict', *photos[:2], '--model', file, '--score-thr', 0,
        '--out', tmp_path / 'out', '--format', 'coco,png,yolo')
    inferencer = InstBoxInferencer(file, show_progress=False)
    expected = write_results(inferencer.stream(photos[:2]), 'coco', tmp_path / 'coco',
                             inferencer.dataset_meta)
    found, expected = (json.loads(each.read_text())['annotations'] for each in (
        tmp_path / 'out' / 'coco' / 'annotations.json', expected))
    assert len(found) > 0
    assert [each['segmentation'] for each in found] == [each['segmentation'] for each in expected]
    inferencer(photos[:2], out_dir=tmp_path, score_thr=0)
    for photo in photos[:2]:
        mine, its = (cv2.imread(str(folder / 'vis' / f'{photo.stem}.jpg')).astype(int)
                     for folder in (tmp_path / 'out', tmp_path))
        assert mine.shape == its.shape and abs(mine - its).mean() < 0.1  # a score's last digit


def test_the_command_annotates_videos_without_openmmlab(run_fresh, onnx_file, photos, tmp_path):
    film = str(tmp_path / 'film.avi')
    writer = cv2.VideoWriter(film, cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 64))
    for _ in range(2):
        writer.write(cv2.imread(str(photos[0])))
    writer.release()
    done = run_fresh(WITHOUT + COMMAND, 'predict', film, '--model', onnx_file, '--score-thr', 0,
                     '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / 'out' / 'coco' / 'annotations.json').read_text())
    assert [each['frame_id'] for each in content['images']] == [0, 1]
    assert any('track_id' in each for each in content['annotations'])
    assert (tmp_path / 'out' / 'vis' / 'film_video.mp4').is_file()


def test_the_first_result_comes_soon(repo, onnx_file, photos):
    """3 seconds on an idle machine, of which importing torch is most: no more than 2.5 times what
    torch and the runtime take by themselves."""
    def seconds(code: str) -> float:
        begin = time.perf_counter()
        run(repo, code, onnx_file, photos[0])
        return time.perf_counter() - begin

    bare = 'import sys, torch, cv2, onnxruntime, PIL.Image, pycocotools.mask'
    assert any(seconds('import sys' + PREDICT) < 2.5 * seconds(bare) for _ in range(3))
