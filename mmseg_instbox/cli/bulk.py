"""``instbox predict --engine ray``."""
from typing import Any

import click

from .main import Interrupted
from .predict import open_model, with_bar


def predict_in_bulk(inputs: tuple[str, ...], out: str, formats: tuple[str, ...], overwrite: bool,
                    score_thr: float, batch_size: int, workers: int | None, **model: Any) -> None:
    """Predict with the workers of Ray; arguments as of the command.

    Raises:
        click.ClickException: Some images could not be predicted, after all others are done.
        InstBoxError: Ray is not installed, or the inputs, the model or the results cannot be used.
    """
    from ..apis.bulk.bulk_job import BulkJob
    from ..apis.bulk.listing import list_images
    from ..apis.bulk.ray_engine import RayEngine
    from ..apis.bulk.shard_worker import WorkerSettings
    from ..apis.bulk.storage import Storage
    if set(formats) - {'coco'}:
        raise click.UsageError('--engine ray writes Parquet and COCO JSON, of which `instbox '
                               f'convert` makes {formats[-1]}.')
    storage, images = Storage(out), list_images(inputs)
    meta, settings = _describe(model)
    job = BulkJob(storage, settings, images, overwrite)
    try:
        with RayEngine(model['device'], workers) as engine:
            threads = None if engine.num_gpus else 1
            execute = engine.executor(WorkerSettings(model, settings, out, batch_size, threads))
            failed = with_bar('Predicting', len(images), job.num_done,
                              lambda tick: job.predict(execute, engine.workers, tick))
        written = job.compile(meta, score_thr)
    except KeyboardInterrupt:
        job.find_done()
        raise Interrupted(f'{job.num_done} of {len(images)} images are done; the same command '
                          'goes on from there.') from None
    _report(job, failed, written)


def _describe(model: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Categories of the model, and what its predictions depend on; this process, which may have no
    GPU, does not keep it."""
    here = dict(model, device='cpu', precision='fp32')
    inferencer, settings = open_model(**here)
    return dict(inferencer.dataset_meta), dict(settings, precision=model['precision'])


def _report(job: Any, failed: list[dict[str, str]], written: str) -> None:
    """Say what was done and where it is; exit code 1 if something could not be predicted."""
    click.echo(f'{job.num_done} of {len(job.images)} inputs are done. Written:')
    for path in (job.shards, written):
        click.echo(f'  {path}')
    failures = job.list_failed(failed)
    if failed:
        for each in failed:
            click.echo(f'  {each["reason"]}', err=True)
        raise click.ClickException(f'{len(failed)} of {len(job.images)} inputs could not be '
                                   f'predicted; {failures} lists them.')
