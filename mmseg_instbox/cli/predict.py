"""``instbox predict``."""
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..utils import DEFAULT_SCORE_THR, DRAW_SIZE
from .main import Interrupted
from .options import CommandWithConfig, formats, options
from .startup import load_package

if TYPE_CHECKING:
    from ..apis.jobs.prediction_job import PredictionJob
    from ..deploy.predictor import Predictor


@click.command(cls=CommandWithConfig)
@click.argument('inputs', nargs=-1, required=True)
@options('model', 'weights', 'device')
@click.option('--out', metavar='DIR', default='predictions', help='Directory for the results.')
@formats('--format', default='coco')
@click.option('--score-thr', type=click.FloatRange(0, 1), default=DEFAULT_SCORE_THR,
              help='Lowest score of an instance in drawings and formats. A score is the share of '
              'instances of such a score that are right.')
@click.option('--batch-size', type=click.IntRange(1), default=1,
              help='Number of images in a forward pass.')
@click.option('--tile', type=click.IntRange(64), metavar='PIXELS',
              help='Predict large images in square tiles of this side; instances are joined across '
              'tiles. Needs less memory.')
@click.option('--precision', type=click.Choice(['fp32', 'bf16', 'fp16']), default='fp32',
              help='Precision of the network; fp16 needs a GPU.')
@click.option('--draw-size', type=click.IntRange(1), metavar='PIXELS', default=DRAW_SIZE,
              help='Largest side of a drawing; larger images are reduced for it.')
@click.option('--no-drawings', '--no-pictures', is_flag=True,
              help='Write no drawings, of videos neither.')
@click.option('--keep-colors/--no-keep-colors', default=True,
              help='Whether an object keeps its colour through a video.')
@click.option('--overwrite', is_flag=True,
              help='Predict again what an earlier run left in DIR.')
@click.option('--engine', type=click.Choice(['local', 'ray']), default='local',
              help='ray: many workers on this machine or a cluster, for very many images.')
@click.option('--workers', type=click.IntRange(1), metavar='NUMBER',
              help='Number of workers of ray.  [default: one per GPU, or one per CPU]')
@options('cfg_options', 'allow_pickle')
def predict(inputs: tuple[str, ...], out: str, overwrite: bool, batch_size: int, engine: str,
            workers: int | None, formats: tuple[str, ...], score_thr: float, no_drawings: bool,
            draw_size: int, keep_colors: bool, **model: Any) -> None:
    """Find the instances in images and videos.

    INPUTS are files, folders, patterns, http(s) addresses, or addresses of an object store
    (s3://bucket/photos). A video becomes a video with its instances drawn in, and formats get a
    record of each frame; in COCO, instances have the track_id of their object.

    \b
    DIR then has:
      vis/NAME.jpg                a drawing of each prediction (vis/NAME_video.mp4 of a video);
                                  NAME has the folders that INPUTS do not have in common
      coco/annotations.json       masks with categories and scores; other formats likewise
      parquet/                    all predictions, one image per row, for resuming
      failed.json                 inputs that could not be predicted, and why

    After a stop, the same command resumes. An image that is done is not predicted again unless it
    has changed; --format and --score-thr can be changed in between. Inputs that cannot be read are
    skipped and listed at the end; the exit code is then 1.

    DIR may be an address of an object store, too; then, and with --engine ray, nothing is drawn.
    The engine needs pip install 'mmseg_instbox[ray]'.

    \b
    Examples:
      instbox predict cat.jpg
      instbox predict photos --out found --format coco,labelme
      instbox predict 'photos/**/*.png' --model work_dirs/my_config/iter_2000.pth
      instbox predict aerial.tif --tile 512
      instbox predict holiday.mp4
      instbox predict s3://bucket/photos --out s3://bucket/found --engine ray
    """
    local = engine == 'local'
    if workers is not None and local:
        raise click.UsageError('--workers is for --engine ray; the local engine is one process.')
    if local and not no_drawings and '://' in out:
        raise click.UsageError(f'{out} is no directory on this machine, where drawings go: add '
                               '--no-drawings.')
    if str(model['model']).endswith('.py') and model['weights'] is None:
        raise click.UsageError(f'{model["model"]} is a config: give its --weights, too.')
    from ..apis.jobs.listing import list_inputs
    from ..apis.jobs.prediction_job import SHARD_SIZE, PredictionJob
    from ..apis.jobs.records import SHARD_FOLDER
    from ..apis.jobs.storage import Storage
    from ..apis.jobs.worker import open_predictor, runs_alone
    images, videos = list_inputs(inputs)
    if videos and (not local or '://' in out):
        raise click.UsageError(f'{videos[0].image}: videos need the local engine and a directory '
                               'on this machine; leave them out.')
    if not runs_alone(**model):
        load_package('apis.inst_box_inferencer', mask_heads=False)
    storage = Storage(out)
    # with Ray, this process, which may have no GPU, only needs the categories and the settings
    here = {} if local else dict(device='cpu', precision='fp32')
    predictor, settings = open_predictor(**model | here)
    settings['precision'] = model['precision']
    job = PredictionJob(storage, settings, images, videos, overwrite,
                        batch_size if local else SHARD_SIZE)
    worker = dict(model=model, expected=settings, batch_size=batch_size,
                  out=storage.root if storage.is_local else out)  # workers have other directories
    drawings: list[str] = []
    try:
        if local:
            drawings = _predict_here(job, predictor, worker, score_thr, draw_size,
                                     not no_drawings, keep_colors)
        else:
            from ..apis.jobs.ray_executor import SHARDS_EACH, RayExecutor
            with (RayExecutor(model['device'], workers) as executor,
                  _bar('Predicting', len(images), job.num_done) as progress):
                job.predict(partial(executor.execute, worker), progress,
                            SHARDS_EACH * executor.workers)
        with _bar('Writing', job.num_done) as progress:
            written = job.compile(formats, predictor.dataset_meta, score_thr, progress)
    except KeyboardInterrupt:
        raise Interrupted(f'{job.num_done} of {len(images)} images are done; the same command '
                          'resumes from there.') from None
    _report(job, [*drawings, storage.address(SHARD_FOLDER), *written])


def _predict_here(job: 'PredictionJob', predictor: 'Predictor', worker: dict[str, Any],
                  score_thr: float, draw_size: int, draw: bool, keep_colors: bool) -> list[str]:
    """Predicts and draws in this process; returns the folder of the drawings, if there are any."""
    from ..apis.jobs.drawings import Drawings
    from ..apis.jobs.worker import ShardWorker
    drawings = Drawings(job, predictor, score_thr, draw_size, draw)
    predict_shard = ShardWorker(**worker, predictor=predictor, draw=drawings.draw if draw else None)
    with _bar('Predicting', len(job.images), job.num_done) as progress:
        job.predict(partial(map, predict_shard), progress)
    drawings.annotate(keep_colors, worker['batch_size'])
    if not draw:
        return []
    drawings.draw_missing()
    return [str(drawings.folder)]


@contextmanager
def _bar(label: str, length: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on the error stream; gives the function to report progress with."""
    with click.progressbar(length=length, label=label, show_pos=True, file=sys.stderr) as bar:
        bar.update(done)
        yield bar.update


def _report(job: 'PredictionJob', written: list[str]) -> None:
    """Prints the results' places; exit code 1 if something could not be predicted."""
    inputs, failed = len(job.images) + len(job.videos), job.failed
    click.echo(f'{inputs - len(failed)} of {inputs} inputs are done. Written:')
    for path in written:
        click.echo(f'  {path}')
    failures = job.write_failed()
    if failed:
        for reason in failed.values():
            click.echo(f'  {reason}', err=True)
        raise click.ClickException(f'{len(failed)} of {inputs} inputs could not be predicted; '
                                   f'{failures} lists them.')
