"""Jobs executed by a worker in this process."""
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmseg_instbox.apis.jobs.listing import list_inputs
from mmseg_instbox.apis.jobs.prediction_job import PredictionJob
from mmseg_instbox.apis.jobs.storage import Storage
from mmseg_instbox.apis.jobs.worker import ShardWorker, open_predictor
from mmseg_instbox.engine import config_to_json


@pytest.fixture(scope='session')
def saved(random_network, tmp_path_factory) -> str:
    """A checkpoint of ``random_network`` that carries its config."""
    file = tmp_path_factory.mktemp('saved') / 'random.pth'
    meta = dict(config_json=config_to_json(random_network.cfg),
                dataset_meta=random_network.dataset_meta)
    torch.save(dict(state_dict=random_network.state_dict(), meta=meta), file)
    return str(file)


@pytest.fixture(scope='session')
def expected(saved) -> dict:
    """What predictions of ``saved`` depend on."""
    return open_predictor(model=saved, device='cpu')[1]


@pytest.fixture
def folder(photos, tmp_path) -> Path:
    """A folder of eight images."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    for photo in photos:
        shutil.copy(photo, folder / photo.name)
    return folder


@pytest.fixture
def worker(saved, expected, tmp_path) -> ShardWorker:
    """A worker that writes to ``tmp_path / 'out'``."""
    return ShardWorker(dict(model=saved, device='cpu'), expected, str(tmp_path / 'out'),
                       batch_size=3)


@pytest.fixture
def make_job(expected, folder, tmp_path) -> Callable[..., PredictionJob]:
    """A function that makes the job of predicting ``folder`` into ``tmp_path / 'out'``."""

    def make(settings: dict | None = None, **arguments: object) -> PredictionJob:
        return PredictionJob(Storage(str(tmp_path / 'out')), settings or expected,
                             *list_inputs([str(folder)]), **arguments)

    return make


@pytest.fixture
def random_sample() -> Callable[..., SegDataSample]:
    """A function that makes predictions of random numbers."""
    def random_sample(number, shape=(13, 17)):
        """A prediction of ``number`` instances of random pixels."""
        random = torch.Generator().manual_seed(number)
        sample = SegDataSample(metainfo=dict(name='a', img_path='/data/a.jpg', ori_shape=shape))
        categories = torch.randint(0, 21, (1, *shape), generator=random)
        sample.pred_sem_seg = PixelData(data=categories)
        sample.pred_instances = InstanceData(
            masks=torch.rand(number, *shape, generator=random) > 0.7,
            labels=torch.randint(0, 20, (number,), generator=random),
            scores=torch.rand(number, generator=random),
            bboxes=17 * torch.rand(number, 4, generator=random))
        return sample

    return random_sample


@pytest.fixture
def things() -> tuple[str, ...]:
    """Names of the labels of ``random_sample``."""
    return tuple('abcdefghijklmnopqrstuvwxyz')
