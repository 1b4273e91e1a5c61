"""``instbox predict``: results, what cannot be read, and going on after a stop."""
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from mmengine.logging import HistoryBuffer
from programs import Program, write_command
from pycocotools.coco import COCO

from mmseg_instbox.apis import InstBoxInferencer

NUM_IMAGES = 24


@pytest.fixture(scope='session')
def pictures(tiny_voc, tmp_path_factory):
    """A folder of pictures."""
    folder = tmp_path_factory.mktemp('many')
    sources = sorted((tiny_voc / 'JPEGImages').iterdir())
    for number in range(NUM_IMAGES):
        shutil.copy(sources[number % len(sources)], folder / f'{number:03d}.jpg')
    return folder


@pytest.fixture
def few(pictures, tmp_path):
    """A folder of three pictures, whose names have a blank and an umlaut."""
    folder = tmp_path / 'few'
    folder.mkdir()
    for number, name in enumerate(('a', 'b c', 'hütte')):
        shutil.copy(pictures / f'00{number}.jpg', folder / f'{name}.jpg')
    return folder


@pytest.fixture
def passes(monkeypatch):
    """Counts the images that networks see."""
    counts = []
    forward = InstBoxInferencer.forward

    def count(self, inputs, *args, **kwargs):
        counts.append(len(inputs['inputs']))
        return forward(self, inputs, *args, **kwargs)

    monkeypatch.setattr(InstBoxInferencer, 'forward', count)
    return counts


def annotations(out):
    return json.loads((out / 'coco' / 'annotations.json').read_text())


def test_results_are_those_of_the_inferencer(succeed, passes, checkpoint, few, tmp_path):
    out = tmp_path / 'out'
    done = succeed('predict', few, '--model', checkpoint, '--out', out, '--score-thr', 0,
                   '--batch-size', 2)
    assert '3 of 3 inputs are done' in done.stdout and passes == [2, 1]
    coco = COCO(out / 'coco' / 'annotations.json')
    samples = {f'{sample.name}.jpg': sample for sample in InstBoxInferencer(checkpoint).stream(few)}
    assert sorted(each['file_name'] for each in coco.imgs.values()) == sorted(samples)
    total = 0
    for image in coco.imgs.values():
        found = samples[image['file_name']].pred_instances
        told = coco.loadAnns(coco.getAnnIds(image['id']))
        total += len(told)
        assert [each['score'] for each in told] == pytest.approx(found.scores.tolist(), abs=1e-5)
        masks = [coco.annToMask(each) for each in told]
        assert all(np.array_equal(*pair) for pair in zip(masks, found.masks.numpy(), strict=True))
    assert total > 0
    for name in samples:
        assert cv2.imdecode(np.fromfile(out / 'vis' / name, np.uint8), -1) is not None


def test_nothing_needless_is_imported(checkpoint, few, repo, tmp_path):
    """MMDetection takes a second of the start, and the checkpoint's config names metrics of it;
    matplotlib and pandas take a third of a second each."""
    code = f"""
import sys
from mmseg_instbox.cli.main import cli
cli(['predict', {str(few)!r}, '--model', {str(checkpoint)!r}, '--out', {str(tmp_path)!r}],
    standalone_mode=False)
needless = {{'mmdet.evaluation', 'mmdet.datasets', 'mmdet.models', 'matplotlib', 'pandas',
            'mmseg_instbox.engine.training'}} & set(sys.modules)
assert not needless, needless
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(repo)))
    assert done.returncode == 0, done.stderr
    assert 'OneDL' not in done.stdout + done.stderr and 'not compiled' not in done.stderr


def test_what_cannot_be_read_is_listed_and_left_out(instbox, succeed, checkpoint, few, tmp_path):
    (few / 'broken.jpg').write_bytes(b'no picture')
    out = tmp_path / 'out'
    arguments = ['predict', few, few / 'gone.png', '--model', checkpoint, '--out', out]
    done = instbox(*arguments)
    assert done.exit_code == 1 and '3 of 5 inputs are done' in done.stdout
    assert '2 of 5 inputs could not be predicted' in done.stderr.splitlines()[-1]
    failed = json.loads((out / 'failed.json').read_text())
    assert [each['input'] for each in failed] == [str(few / 'broken.jpg'), str(few / 'gone.png')]
    assert all(each['reason'] in done.stderr for each in failed)
    assert len(annotations(out)['images']) == 3
    shutil.copy(few / 'a.jpg', few / 'broken.jpg')  # mended; the other one is not asked for
    succeed(*arguments[:2], *arguments[3:])
    assert not (out / 'failed.json').exists() and len(annotations(out)['images']) == 4


def test_the_folders_of_the_images_are_kept(succeed, checkpoint, few, tmp_path, monkeypatch):
    """And a second run in the same directory does not predict the drawings of the first."""
    monkeypatch.chdir(tmp_path)
    for folder in ('d1', 'd2'):
        (few / folder).mkdir()
        shutil.copy(few / 'a.jpg', few / folder / '1.jpg')
    arguments = ['predict', '**/*.jpg', '--model', checkpoint, '--format', 'yolo,png,labelme,coco']
    for _ in range(2):
        assert '5 of 5 inputs are done' in succeed(*arguments).stdout
        for place in ('vis/{}.jpg', 'yolo/labels/{}.txt', 'labelme/{}.json',
                      'png/SegmentationClass/{}.png'):
            assert all((tmp_path / 'predictions' / place.format(name)).is_file()
                       for name in ('a', 'd1/1', 'd2/1'))
    assert sorted(each['file_name'] for each in annotations(tmp_path / 'predictions')['images']
                  ) == ['a.jpg', 'b c.jpg', 'd1/1.jpg', 'd2/1.jpg', 'hütte.jpg']


def test_names_that_are_no_utf_8(instbox, succeed, checkpoint, few, tmp_path):
    """As archives and disks of other systems have them; Parquet and JSON hold UTF-8 alone."""
    stem, out = os.fsdecode(b'caf\xe9'), tmp_path / 'out'
    (few / 'a.jpg').rename(few / f'{stem}.jpg')
    arguments = ['--model', checkpoint, '--out', out, '--format', 'coco,png,labelme,yolo,panoptic']
    for _ in range(2):
        assert '3 of 3 inputs are done' in succeed('predict', few, *arguments).stdout
    assert (out / 'vis' / 'café.jpg').is_file()
    names = [each['file_name'] for each in annotations(out)['images']]
    assert names == ['b c.jpg', 'café.jpg', 'hütte.jpg']
    (few / f'{stem}.mp4').touch()  # OpenCV crashes at such a name
    done = instbox('predict', few, few / f'{stem}.mp4', *arguments)
    assert done.exit_code == 1 and '3 of 4 inputs are done' in done.stdout
    assert 'rename the file' in (out / 'failed.json').read_text()


def test_unexpected_errors_take_no_other_images_with_them(instbox, checkpoint, few, tmp_path,
                                                          monkeypatch):
    prepare = InstBoxInferencer._prepare

    def fail(self, image):
        if image.shape[0] == 5:
            raise KeyError('scale')
        return prepare(self, image)

    monkeypatch.setattr(InstBoxInferencer, '_prepare', fail)
    cv2.imwrite(str(few / 'b c.jpg'), np.zeros((5, 9, 3), np.uint8))
    cv2.imwrite(str(few / 'thin.png'), np.zeros((3000, 2, 3), np.uint8))
    done = instbox('predict', few, '--model', checkpoint, '--out', tmp_path / 'out')
    assert done.exit_code == 1 and '3 of 4 inputs are done' in done.stdout, done.stderr
    (failed, ) = json.loads((tmp_path / 'out' / 'failed.json').read_text())
    assert failed['input'].endswith('b c.jpg') and 'unexpected KeyError' in failed['reason']


def test_a_killed_run_goes_on_where_it_was(succeed, passes, checkpoint, pictures, tmp_path):
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    arguments = ['predict', pictures, '--model', checkpoint, '--format', 'coco,png', '--score-thr',
                 0, '--out']
    killed = Program(write_command(tmp_path), tmp_path / 'output.txt', *arguments, cut)
    killed.wait_for(lambda: len(list(cut.glob('parquet/[!.]*'))) >= 4)
    killed.stop()
    killed.ends()
    records = {file.name: file.read_bytes() for file in cut.glob('parquet/[!.]*')}
    assert 4 <= len(records) < NUM_IMAGES and not (cut / 'coco').exists()
    succeed(*arguments, cut)
    assert sum(passes) == NUM_IMAGES - len(records)
    assert all((cut / 'parquet' / name).read_bytes() == text for name, text in records.items())
    succeed(*arguments, whole)
    assert len(annotations(whole)['annotations']) > 0
    files = [file.relative_to(whole) for file in whole.rglob('*') if file.is_file()]
    assert sorted(files) == sorted(file.relative_to(cut) for file in cut.rglob('*')
                                   if file.is_file())
    assert len(files) == 2 + 4 * NUM_IMAGES + 2
    assert all((whole / file).read_bytes() == (cut / file).read_bytes() for file in files)


def test_only_what_is_new_is_predicted(succeed, passes, checkpoint, few, tmp_path):
    out = tmp_path / 'out'
    arguments = ['predict', few, '--model', checkpoint, '--out', out]
    succeed(*arguments)
    assert sum(passes) == 3
    before = (out / 'vis' / 'a.jpg').read_bytes()
    succeed(*arguments, '--format', 'yolo,labelme', '--score-thr', 0.01)
    assert sum(passes) == 3 and (out / 'labelme' / 'hütte.json').is_file()
    assert (out / 'vis' / 'a.jpg').read_bytes() != before  # drawn again: more instances
    os.utime(few / 'a.jpg', ns=(1, 1))
    shutil.copy(few / 'a.jpg', few / 'new.jpg')
    succeed(*arguments)
    assert sum(passes) == 5 and len(annotations(out)['images']) == 4
    succeed(*arguments, '--overwrite')
    assert sum(passes) == 9


def test_other_settings_need_another_directory(fails, succeed, checkpoint, few, tmp_path):
    arguments = ['predict', few, '--model', checkpoint, '--out', tmp_path / 'out', '--no-pictures']
    succeed(*arguments)
    assert not (tmp_path / 'out' / 'vis').exists()
    for more, what in ((['--precision', 'bf16'], 'another precision'), (['--tile', 64], 'tile'),
                       (['--cfg-options', 'model.test_cfg.shifts=2'], 'another config')):
        sentence = fails(*arguments, *more)
        assert what in sentence and '--overwrite' in sentence


def test_ctrl_c_says_how_far_it_came(fails, succeed, checkpoint, few, tmp_path, monkeypatch):
    stream = InstBoxInferencer.stream_with_images

    def interrupted(*args, **kwargs):
        yield next(stream(*args, **kwargs))
        raise KeyboardInterrupt

    arguments = ['predict', few, '--model', checkpoint, '--out', tmp_path / 'out']
    with monkeypatch.context() as patch:
        patch.setattr(InstBoxInferencer, 'stream_with_images', interrupted)
        assert fails(*arguments, exit_code=130) == (
            'Stopped. 1 of 3 images are done; the same command resumes from there.')
    succeed(*arguments)
    assert len(annotations(tmp_path / 'out')['images']) == 3


def test_a_video_becomes_a_video(succeed, passes, checkpoint, few, tmp_path):
    out = tmp_path / 'out'
    writer = cv2.VideoWriter(str(few / 'film.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 64))
    for _ in range(3):
        writer.write(cv2.imread(str(few / 'a.jpg')))
    writer.release()
    arguments = ['predict', few / '*', '--model', checkpoint, '--out', out, '--score-thr', 0]
    done = succeed(*arguments)
    assert '4 of 4 inputs are done' in done.stdout and sum(passes) == 6
    film = cv2.VideoCapture(str(out / 'vis' / 'film_video.mp4'))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and film.read()[0]
    content = annotations(out)
    assert [each['file_name'] for each in content['images'][:3]] == [
        'a.jpg', 'b c.jpg', 'hütte.jpg']
    assert [(each['file_name'], each['video_id'], each['frame_id'])
            for each in content['images'][3:]] == [
        ('film_000000', 1, 0), ('film_000001', 1, 1), ('film_000002', 1, 2)]
    frames = {4, 5, 6}
    tracks = [each['track_id'] for each in content['annotations'] if each['image_id'] in frames]
    assert len(set(tracks)) < len(tracks)  # an object goes on in the next frame
    assert not any('track_id' in each for each in content['annotations']
                   if each['image_id'] not in frames)
    succeed(*arguments, '--format', 'labelme,yolo,png,panoptic')
    assert sum(passes) == 6 and len(list((out / 'labelme').glob('film_*.json'))) == 3
    assert len(list((out / 'yolo' / 'labels').glob('film_*.txt'))) == 3


def test_drawings_need_a_directory_of_this_machine(fails, few):
    assert '--no-drawings' in fails('predict', few, '--out', 'memory://out', exit_code=2)


def test_results_go_to_a_store(succeed, checkpoint, few, tmp_path):
    from mmseg_instbox.apis.jobs.storage import Storage
    storage = Storage(f'memory://{tmp_path.name}')
    done = succeed('predict', few, '--model', checkpoint, '--no-pictures', '--out',
                   f'memory://{tmp_path.name}', '--format', 'coco,png')
    assert '3 of 3 inputs are done' in done.stdout
    files = [file.name for file in storage.files()]
    assert len(files) == 1 + 3 + 1 + 2 * 3 + 2 and 'coco/annotations.json' in files


def test_models_that_cannot_be_used_are_answered_with_one_sentence(fails, checkpoint, tiny_config,
                                                                   few, tmp_path):
    import torch
    arguments = ['predict', few, '--out', tmp_path / 'out', '--model']
    assert 'give its --weights' in fails(*arguments, tiny_config, exit_code=2)
    assert "no model 'instbox_r18'" in fails(*arguments, 'instbox_r18')
    assert 'no checkpoint' in fails(*arguments, 'gone.pth')
    content = torch.load(checkpoint, weights_only=True)
    torch.save(dict(content, log=HistoryBuffer()), tmp_path / 'old.pth')
    assert '--allow-pickle' in fails(*arguments, tmp_path / 'old.pth')
    assert not (tmp_path / 'out').exists()


def test_a_folder_without_pictures(fails, tmp_path):
    assert 'no images in this folder' in fails('predict', tmp_path, '--out', tmp_path / 'out')
