"""Jobs: what is predicted, what is left to do, what is written."""
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from mmseg_instbox.apis import InstBoxInferencer, write_results
from mmseg_instbox.apis.formats import LabelMeWriter
from mmseg_instbox.apis.jobs.listing import list_inputs
from mmseg_instbox.apis.jobs.prediction_job import PredictionJob
from mmseg_instbox.apis.jobs.records import to_record
from mmseg_instbox.apis.jobs.storage import Storage
from mmseg_instbox.apis.jobs.worker import ShardWorker
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils.run_lengths import decode_mask


@pytest.fixture
def execute(worker):
    """Has ``worker`` predict shards; ``execute.images`` are those it was given."""

    def run(shards):
        for shard in shards:
            run.images += [image.image for image in shard.images]
            yield worker(shard)

    run.images = []
    return run


def rows_of(out):
    return [row for file in sorted((out / 'parquet').iterdir())
            for row in pq.read_table(file).to_pylist()]


def in_order(content):
    """COCO's content with annotations in an order of their own, without ids; and their scores,
    whose last digits differ from run to run of a network."""
    marks = sorted((dict(each, id=0) for each in content['annotations']),
                   key=lambda each: (each['image_id'], each['segmentation']['counts']))
    scores = [each.pop('score') for each in marks]
    return dict(content, annotations=marks), pytest.approx(scores, abs=1e-4)


def test_rows_are_the_predictions_of_one_process(make_job, execute, saved, folder, tmp_path):
    job = make_job()
    job.predict(execute)
    assert job.failed == {}
    rows = {row['image']: row for row in rows_of(tmp_path / 'out')}
    samples = list(InstBoxInferencer(saved).stream(folder))
    assert list(rows) == [sample.img_path for sample in samples] and len(rows) == 8
    assert sum(len(row['masks']) for row in rows.values()) > 8
    for sample in samples:
        row, found = rows[sample.img_path], sample.pred_instances
        masks = [decode_mask(dict(size=[row['height'], row['width']], counts=counts))
                 for counts in row['masks']]
        assert np.array_equal(np.stack(masks), found.masks.numpy())
        assert row['scores'] == pytest.approx(found.scores.tolist(), abs=1e-4)
        assert np.array_equal(np.float32(row['boxes']), found.bboxes.numpy())
        assert row['labels'] == found.labels.tolist()
        assert row['categories'] == [('square', 'disc')[label] for label in row['labels']]


@pytest.mark.parametrize('share', [0, 0.5])
def test_coco_json_is_that_of_one_process(share, make_job, execute, saved, folder, tmp_path):
    job, inferencer = make_job(shard_size=3), InstBoxInferencer(saved)
    job.predict(execute)
    scores = np.sort([score for row in rows_of(tmp_path / 'out') for score in row['scores']])
    middle = int(len(scores) * share)
    score_thr = float(scores[middle - 1:middle + 1].mean()) if share else 0
    path, = job.compile(['coco'], inferencer.dataset_meta, score_thr)
    written = json.load(open(path))
    wanted = json.load(open(write_results(inferencer.stream(folder), 'coco', tmp_path / 'one',
                                          inferencer.dataset_meta, score_thr)))
    numbers = [each['id'] for each in written['annotations']]
    (written, found), (wanted, scores_wanted) = in_order(written), in_order(wanted)
    assert written == wanted and found == scores_wanted.expected
    assert len(wanted['annotations']) == (scores >= score_thr).sum() > 8
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_run_goes_on_with_what_is_missing(make_job, execute, folder, tmp_path):
    first, *others = make_job(shard_size=3).waiting()
    list(execute([first]))
    before = {file: file.read_bytes() for file in (tmp_path / 'out' / 'parquet').iterdir()}
    job = make_job(shard_size=3)
    assert job.num_done == len(first.images) > 0
    execute.images.clear()
    ticks = []
    job.predict(execute, ticks.append)
    assert job.failed == {}
    assert execute.images == [image.image for shard in others for image in shard.images]
    assert sum(ticks) == 8 - len(first.images) and job.num_done == 8
    assert all(file.read_bytes() == content for file, content in before.items())
    execute.images.clear()
    make_job().predict(execute)
    assert execute.images == []


def test_changed_images_and_broken_shards_are_predicted_again(make_job, execute, folder, tmp_path):
    make_job(shard_size=4).predict(execute)
    os.utime(folder / '000.jpg', ns=(1, 1))
    *_, last = sorted((tmp_path / 'out' / 'parquet').iterdir())
    last.write_bytes(last.read_bytes()[:-20])
    kept = sum(pq.read_metadata(file).num_rows for file in (tmp_path / 'out' / 'parquet').iterdir()
               if file != last)
    execute.images.clear()
    job = make_job()
    job.predict(execute)
    assert job.failed == {}
    assert len(execute.images) == 8 - kept + 1 and str(folder / '000.jpg') in execute.images
    meta = dict(classes=('background', 'square', 'disc'), thing_classes=('square', 'disc'))
    written = json.load(open(job.compile(['coco'], meta, 0)[0]))
    assert len(written['images']) == 8 and kept > 0
    names = [(each['image_id'], each['segmentation']['counts']) for each in written['annotations']]
    assert len(set(names)) == len(names)  # the old row of the changed image is not there


def test_files_of_others_stay(make_job, execute, tmp_path):
    make_job().predict(execute)
    mine = tmp_path / 'out' / 'parquet' / 'mine.parquet'
    mine.write_bytes(b'not ours')
    for overwrite in (False, True):
        assert make_job(overwrite=overwrite).num_done == 8 * (not overwrite)
        assert mine.read_bytes() == b'not ours'


@pytest.mark.parametrize('content', ['{"editor": 1}', '{"half', '[1]'])
def test_settings_of_others_are_refused_and_stay(content, make_job, tmp_path):
    file = tmp_path / 'out' / 'settings.json'
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(InvalidInputError, match='give another --out'):
        make_job()
    assert file.read_text() == content


def test_a_job_that_predicted_nothing_may_change_its_settings(make_job, expected):
    make_job({**expected, 'weights': 'wrong'})
    assert make_job().settings == expected


def test_images_that_fail_take_no_others_with_them(make_job, worker, execute, folder, tmp_path,
                                                   monkeypatch):
    network = worker.predictor.model.test_step

    def fail_at_another_size(inputs):
        if any(image.shape[-2:] != (64, 64) for image in inputs['inputs']):
            raise RuntimeError('out of memory')
        return network(inputs)

    monkeypatch.setattr(worker.predictor.model, 'test_step', fail_at_another_size)
    Image.new('RGB', (64, 80)).save(folder / '000.jpg')
    (folder / '001.jpg').write_bytes(b'no picture')
    job = make_job(shard_size=8)
    job.predict(execute)
    assert [os.path.basename(each) for each in job.failed] == ['000.jpg', '001.jpg']
    first, second = job.failed.values()
    assert first == f'{folder}/000.jpg: unexpected RuntimeError: out of memory'
    assert 'not an image' in second
    assert len(rows_of(tmp_path / 'out')) == job.num_done == 6
    assert json.load(open(job.write_failed())) == [
        dict(input=image, reason=reason) for image, reason in job.failed.items()]
    assert make_job().write_failed() is None and not (tmp_path / 'out' / 'failed.json').exists()


def test_images_that_cannot_be_drawn_or_written_take_no_others_with_them(
        make_job, worker, execute, expected, folder, tmp_path, monkeypatch):
    def draw(_, sample):
        if sample.name.endswith('000.jpg'):
            raise KeyError('colour')

    write = LabelMeWriter._write

    def write_or_fail(self, sample, instances, *more):
        if instances.shape == (64, 80):
            raise ZeroDivisionError('no area')
        write(self, sample, instances, *more)

    worker._draw = draw
    monkeypatch.setattr(LabelMeWriter, '_write', write_or_fail)
    Image.new('RGB', (80, 64)).save(folder / '003.jpg')
    job = make_job()
    job.predict(execute)
    meta = dict(classes=('background', 'square', 'disc'), thing_classes=('square', 'disc'))
    job.compile(['labelme'], meta, 0)
    assert job.failed == {
        f'{folder}/000.jpg': f"{folder}/000.jpg: unexpected KeyError: 'colour'",
        f'{folder}/003.jpg': f'{folder}/003.jpg: unexpected ZeroDivisionError: no area'}
    assert sorted(file.stem for file in (tmp_path / 'out' / 'labelme').iterdir()) == [
        '001', '002', '004', '005', '006', '007']


def test_shards_that_no_worker_could_do_are_listed(make_job, execute):
    job = make_job(shard_size=3)
    job.predict(lambda shards: execute(shards[1:]))
    assert list(job.failed) == [each.image for each in job.images[:3]]
    assert all('died' in each for each in job.failed.values())


def test_results_of_other_settings_are_not_mixed(make_job, execute, expected, tmp_path):
    make_job().predict(execute)
    other = dict(expected, precision='bf16')
    with pytest.raises(InvalidInputError, match='another precision.*--overwrite'):
        make_job(other)
    assert make_job(other, overwrite=True).num_done == 0
    assert not list((tmp_path / 'out' / 'parquet').iterdir())


def test_a_worker_with_another_model_does_not_start(saved, expected, tmp_path):
    content = torch.load(saved, weights_only=True)
    next(iter(content['state_dict'].values())).add_(1)
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(InvalidInputError, match='another weights of the model'):
        ShardWorker(dict(model=str(tmp_path / 'other.pth'), device='cpu'), expected, str(tmp_path))


def test_names_of_shards_tell_their_images_apart(make_job):
    shards = make_job().waiting(8)
    assert len(shards) == 8 and len({shard.name for shard in shards}) == 8
    assert [shard.name for shard in make_job().waiting(8)] == [shard.name for shard in shards]


@pytest.mark.parametrize('kind', ['coco', 'png', 'labelme', 'yolo', 'panoptic'])
def test_every_format_is_written_to_a_store(kind, make_job, execute, expected, folder, tmp_path):
    """With the content that a local job writes."""
    meta = dict(classes=('background', 'square', 'disc'), thing_classes=('square', 'disc'))
    local = make_job()
    local.predict(execute)
    local.compile([kind], meta, 0)
    store = Storage(f'memory://{tmp_path.name}')
    for file in (tmp_path / 'out' / 'parquet').iterdir():
        store.write(file.read_bytes(), f'parquet/{file.name}')
    store.write((tmp_path / 'out' / 'settings.json').read_bytes(), 'settings.json')
    job = PredictionJob(store, expected, *list_inputs([str(folder)]))
    address, = job.compile([kind], meta, 0)
    assert job.num_done == 8 and address.startswith('memory://')
    written = {file.name.removeprefix(kind): store.read(file.name) for file in store.files(kind)}
    wanted = {str(file).removeprefix(str(tmp_path / 'out' / kind)): file.read_bytes()
              for file in (tmp_path / 'out' / kind).rglob('*') if file.is_file()}
    assert written.keys() == wanted.keys() and len(wanted) > 0
    if kind != 'labelme':
        assert written == wanted
        return
    for name, content in written.items():
        path = tmp_path / 'out' / kind / json.loads(wanted[name])['imagePath']
        assert json.loads(content)['imagePath'] == f'file://{path.resolve()}'


def test_what_an_interrupted_worker_did_is_kept(make_job, worker, monkeypatch, tmp_path):
    stream = worker.predictor.stream_with_images

    def interrupted(*args, **kwargs):
        yield next(stream(*args, **kwargs))
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.predictor, 'stream_with_images', interrupted)
    job = make_job()
    with pytest.raises(KeyboardInterrupt):
        job.predict(lambda shards: map(worker, shards))
    assert job.num_done == make_job().num_done == len(rows_of(tmp_path / 'out')) == 1


def test_errors_of_writing_end_the_job(make_job, worker, monkeypatch):
    """They would concern every image."""
    def full(*_):
        raise OSError('disk full')

    worker._draw = full
    with pytest.raises(OSError, match='disk full'):
        make_job().predict(lambda shards: map(worker, shards))


def test_a_video_is_done_until_it_changes(make_job, folder, random_sample, things):
    film = folder / 'film.mp4'
    film.write_bytes(b'frames')
    inputs = list_inputs([str(folder / '*')])
    job = make_job()
    make = PredictionJob(job.storage, {}, *inputs)
    video, = make.videos
    assert video.image not in make.done
    frames = [to_record(video, random_sample(number), things, number) for number in range(3)]
    make.finish(video, frames)
    again = PredictionJob(job.storage, {}, *inputs)
    assert video.image in again.done and again.num_done == 0
    assert [row['frame'] for row in again.rows()] == [0, 1, 2]
    os.utime(film, ns=(1, 1))
    changed = PredictionJob(job.storage, {}, *list_inputs([str(folder / '*')]))
    assert not changed.done
