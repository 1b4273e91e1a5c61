"""Bulk runs without an engine: what is predicted, what is left to do, what is written."""
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

pq = pytest.importorskip('pyarrow.parquet')

from mmseg_instbox.apis import InstBoxInferencer, write_results  # noqa: E402
from mmseg_instbox.apis.bulk.shard_worker import (  # noqa: E402
    ShardWorker,
    WorkerSettings,
    shard_from_text,
    shard_to_text,
)
from mmseg_instbox.errors import InvalidInputError  # noqa: E402
from mmseg_instbox.utils.run_lengths import decode_mask  # noqa: E402


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
    assert make_job().predict(execute, workers=2) == []
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
    job.predict(execute, workers=1)
    scores = np.sort([score for row in rows_of(tmp_path / 'out') for score in row['scores']])
    middle = int(len(scores) * share)
    score_thr = float(scores[middle - 1:middle + 1].mean()) if share else 0
    written = json.load(open(job.compile(inferencer.dataset_meta, score_thr)))
    wanted = json.load(open(write_results(inferencer.stream(folder), 'coco', tmp_path / 'one',
                                          inferencer.dataset_meta, score_thr)))
    numbers = [each['id'] for each in written['annotations']]
    (written, found), (wanted, scores_wanted) = in_order(written), in_order(wanted)
    assert written == wanted and found == scores_wanted.expected
    assert len(wanted['annotations']) == (scores >= score_thr).sum() > 8
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_run_goes_on_with_what_is_missing(make_job, execute, folder, tmp_path):
    first, *others = make_job(shard_size=3).waiting(1)
    list(execute([first]))
    before = {file: file.read_bytes() for file in (tmp_path / 'out' / 'parquet').iterdir()}
    job = make_job(shard_size=3)
    assert job.num_done == len(first.images) > 0
    execute.images.clear()
    ticks = []
    assert job.predict(execute, 1, ticks.append) == []
    assert execute.images == [image.image for shard in others for image in shard.images]
    assert sum(ticks) == 8 - len(first.images) and job.num_done == 8
    assert all(file.read_bytes() == content for file, content in before.items())
    execute.images.clear()
    make_job().predict(execute, 1)
    assert execute.images == []


def test_changed_images_and_broken_shards_are_predicted_again(make_job, execute, folder, tmp_path):
    make_job(shard_size=4).predict(execute, 1)
    os.utime(folder / '000.jpg', ns=(1, 1))
    *_, last = sorted((tmp_path / 'out' / 'parquet').iterdir())
    last.write_bytes(last.read_bytes()[:-20])
    kept = sum(pq.read_metadata(file).num_rows for file in (tmp_path / 'out' / 'parquet').iterdir()
               if file != last)
    execute.images.clear()
    job = make_job()
    assert job.predict(execute, 1) == []
    assert len(execute.images) == 8 - kept + 1 and str(folder / '000.jpg') in execute.images
    written = json.load(open(job.compile(dict(classes=('background', 'square', 'disc'),
                                              thing_classes=('square', 'disc')), 0)))
    assert len(written['images']) == 8 and kept > 0
    names = [(each['image_id'], each['segmentation']['counts']) for each in written['annotations']]
    assert len(set(names)) == len(names)  # the old row of the changed image is not there


def test_images_that_fail_take_no_others_with_them(make_job, worker, execute, folder, tmp_path,
                                                   monkeypatch):
    network = worker.inferencer.model.test_step

    def fail_at_another_size(inputs):
        if any(image.shape[-2:] != (64, 64) for image in inputs['inputs']):
            raise RuntimeError('out of memory')
        return network(inputs)

    monkeypatch.setattr(worker.inferencer.model, 'test_step', fail_at_another_size)
    Image.new('RGB', (64, 80)).save(folder / '000.jpg')
    (folder / '001.jpg').write_bytes(b'no picture')
    job = make_job(shard_size=8)
    failed = job.predict(execute, 1)
    assert [os.path.basename(each['input']) for each in failed] == ['000.jpg', '001.jpg']
    assert 'unexpected RuntimeError: out of memory' in failed[0]['reason']
    assert 'not an image' in failed[1]['reason']
    assert len(rows_of(tmp_path / 'out')) == job.num_done == 6
    assert json.load(open(job.list_failed(failed))) == failed
    assert make_job().list_failed([]) is None and not (tmp_path / 'out' / 'failed.json').exists()


def test_shards_that_no_worker_could_do_are_listed(make_job, execute):
    job = make_job(shard_size=3)
    failed = job.predict(lambda shards: execute(shards[1:]), 1)
    assert [each['input'] for each in failed] == [each.image for each in job.images[:2]]
    assert all('died' in each['reason'] for each in failed)


def test_results_of_other_settings_are_not_mixed(make_job, execute, expected, tmp_path):
    make_job().predict(execute, 1)
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
        ShardWorker(WorkerSettings(dict(model=str(tmp_path / 'other.pth'), device='cpu'), expected,
                                   str(tmp_path)))


def test_shards_travel_as_text(make_job):
    shards = make_job().waiting(2)
    assert [shard_from_text(shard_to_text(shard)) for shard in shards] == shards
    assert len(shards) == 8 and len({shard.name for shard in shards}) == 8
    assert [shard.name for shard in make_job().waiting(2)] == [shard.name for shard in shards]
