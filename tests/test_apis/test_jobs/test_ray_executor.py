"""A job on a local Ray with two workers."""
import contextlib
import json
import os
import shutil
import sys
import time
from functools import partial

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from programs import Program, write_command

ray = pytest.importorskip('ray')

from mmseg_instbox.cli.main import cli  # noqa: E402

NUM_IMAGES = 40


@pytest.fixture(scope='module')
def pictures(tiny_voc, tmp_path_factory):
    """A folder of pictures, one of them broken."""
    folder = tmp_path_factory.mktemp('many')
    sources = sorted((tiny_voc / 'JPEGImages').iterdir())
    for number in range(NUM_IMAGES):
        shutil.copy(sources[number % len(sources)], folder / f'{number:03d}.jpg')
    (folder / 'broken.jpg').write_bytes(b'no picture')
    return folder


@pytest.fixture(scope='session')
def cluster(repo):
    """The address of a Ray on this machine, for all tests; this process is connected to it."""
    before = os.environ.get('PYTHONPATH', '')
    os.environ.update(PYTHONPATH=f'{repo}:{before}', RAY_USAGE_STATS_ENABLED='0')
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=128 * 2**20,
             log_to_driver=False, logging_level='ERROR')
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()
    os.environ['PYTHONPATH'] = before


def predict(pictures, model, out, *more):
    return CliRunner().invoke(
        cli, ['predict', *map(str, (pictures, '--model', model, '--device', 'cpu', '--score-thr', 0,
                                    '--out', out, *more))], prog_name='instbox')


def annotations(out):
    """COCO's content, annotations in an order of their own without ids and scores, the last digits
    of which differ from run to run of a network."""
    content = json.loads((out / 'coco' / 'annotations.json').read_text())
    content['annotations'] = sorted(
        (dict(each, id=0, score=None) for each in content['annotations']),
        key=lambda each: (each['image_id'], each['segmentation']['counts']))
    return content


@pytest.fixture(scope='module')
def alone(pictures, saved, tmp_path_factory):
    """What one process finds."""
    out = tmp_path_factory.mktemp('alone')
    done = predict(pictures, saved, out, '--no-pictures')
    assert f'{NUM_IMAGES} of {NUM_IMAGES + 1} inputs are done' in done.stdout, done.output
    return annotations(out)


def rows_in(shards):
    return sum(pq.read_metadata(shard).num_rows for shard in shards)


def test_two_workers_end_what_a_killed_run_began(cluster, alone, pictures, saved, tmp_path,
                                                 tmp_path_factory):
    """In the end there is what one process finds, and nothing is predicted twice."""
    folder = tmp_path_factory.mktemp('killed')
    killed = Program(write_command(folder), folder / 'output.txt', 'predict', f'file://{pictures}',
                     '--model', saved, '--device', 'cpu', '--score-thr', 0, '--out', tmp_path,
                     '--engine', 'ray', '--workers', 1, OMP_NUM_THREADS='1', RAY_ADDRESS=cluster)
    killed.wait_for(lambda: list(tmp_path.glob('parquet/[!.]*')))
    killed.stop()
    killed.ends()
    time.sleep(1)  # its workers end with it
    first = {shard: shard.read_bytes() for shard in tmp_path.glob('parquet/[!.]*')}
    assert 0 < rows_in(first) < NUM_IMAGES and not (tmp_path / 'coco').exists()

    arguments = (f'file://{pictures}', saved, tmp_path, '--engine', 'ray', '--workers', 2)
    done = predict(*arguments)
    assert done.exit_code == 1 and f'{NUM_IMAGES} of {NUM_IMAGES + 1} inputs' in done.stdout
    assert '1 of 41 inputs could not be predicted' in done.stderr.splitlines()[-1]
    (failed, ) = json.loads((tmp_path / 'failed.json').read_text())
    assert failed['input'] == f'file://{pictures}/broken.jpg' and 'not an image' in failed['reason']
    assert all(shard.read_bytes() == content for shard, content in first.items())
    shards = {shard: shard.stat().st_mtime_ns for shard in tmp_path.glob('parquet/[!.]*')}
    assert len(shards) > len(first) + 2 and rows_in(shards) == NUM_IMAGES
    assert annotations(tmp_path) == alone and len(alone['annotations']) > NUM_IMAGES

    (pictures / 'broken.jpg').rename(tmp_path / 'broken.jpg')
    again = predict(*arguments)
    (tmp_path / 'broken.jpg').rename(pictures / 'broken.jpg')
    assert again.exit_code == 0, again.output
    assert {shard: shard.stat().st_mtime_ns for shard in shards} == shards
    assert not (tmp_path / 'failed.json').exists() and annotations(tmp_path) == alone


def test_results_go_to_the_directory_of_the_command(pictures, saved, tmp_path, monkeypatch):
    """Workers of a Ray that was started before have another one."""
    from mmseg_instbox.apis.jobs import ray_executor
    monkeypatch.chdir(tmp_path)

    class Elsewhere(contextlib.AbstractContextManager):
        workers = 1

        def __exit__(self, *_):
            pass

        def execute(self, worker, shards):
            monkeypatch.chdir(pictures)
            yield from map(ray_executor.ShardWorker(**worker), shards)

    monkeypatch.setattr(ray_executor, 'RayExecutor', lambda *_: Elsewhere())
    done = predict(pictures / '000.jpg', saved, 'out', '--engine', 'ray')
    assert done.exit_code == 0, done.output
    assert rows_in(tmp_path.glob('out/parquet/*')) == 1


def test_a_model_that_a_worker_cannot_use_is_told_in_a_sentence(cluster, pictures, saved, tmp_path):
    from mmseg_instbox.apis.jobs.listing import list_inputs
    from mmseg_instbox.apis.jobs.prediction_job import PredictionJob
    from mmseg_instbox.apis.jobs.ray_executor import RayExecutor
    from mmseg_instbox.apis.jobs.storage import Storage
    from mmseg_instbox.errors import InstBoxError
    worker = dict(model=dict(model=saved, device='cpu'),
                  expected=dict(weights='of another one'), out=str(tmp_path))
    job = PredictionJob(Storage(str(tmp_path)), worker['expected'], *list_inputs([str(pictures)]))
    with RayExecutor('cpu', 1) as executor, pytest.raises(InstBoxError, match='another weights'):
        job.predict(partial(executor.execute, worker))


def test_without_ray_the_extra_is_named(pictures, saved, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    failed = predict(pictures, saved, tmp_path, '--engine', 'ray')
    assert failed.exit_code == 1 and "pip install 'mmseg_instbox[ray]'" in failed.stderr


def test_options_of_the_other_engine_are_refused(pictures, saved, tmp_path):
    film = tmp_path / 'film.mp4'
    film.write_bytes(b'')
    for inputs, more, sentence in ((pictures, ['--workers', 2], 'one process'),
                                   (film, ['--engine', 'ray'], 'videos need the local engine')):
        failed = predict(inputs, saved, tmp_path, *more)
        assert failed.exit_code == 2 and sentence in failed.stderr
