"""Jobs executed by a worker in this process."""
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmseg_instbox.apis.jobs.listing import list_inputs
from mmseg_instbox.apis.jobs.prediction_job import PredictionJob
from mmseg_instbox.apis.jobs.storage import Storage
from mmseg_instbox.apis.jobs.worker import ShardWorker, WorkerSettings, open_inferencer
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
    return open_inferencer(model=saved, device='cpu')[1]


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
    return ShardWorker(WorkerSettings(dict(model=saved, device='cpu'), expected,
                                      str(tmp_path / 'out'), batch_size=3))


@pytest.fixture
def make_job(expected, folder, tmp_path) -> Callable[..., PredictionJob]:
    """A function that makes the job of predicting ``folder`` into ``tmp_path / 'out'``."""

    def make(settings: dict | None = None, **arguments: object) -> PredictionJob:
        return PredictionJob(Storage(str(tmp_path / 'out')), settings or expected,
                             *list_inputs([str(folder)]), **arguments)

    return make
