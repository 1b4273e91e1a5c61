"""``instbox predict``."""
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .main import Interrupted
from .options import CommandWithConfig, allow_pickle, cfg_options, formats, model_options
from .startup import load_package

if TYPE_CHECKING:
    from ..apis.prediction_job import PredictionJob


@click.command(cls=CommandWithConfig)
@click.argument('inputs', nargs=-1, required=True)
@model_options
@click.option('--out', metavar='DIR', default='predictions', help='Directory for the results.')
@formats('--format', default='coco')
@click.option('--score-thr', type=click.FloatRange(0, 1), default=0.2,
              help='Lowest score of an instance in pictures and formats.')
@click.option('--batch-size', type=click.IntRange(1), default=1,
              help='How many images the network sees at once.')
@click.option('--tile', type=click.IntRange(64), metavar='PIXELS',
              help='Predict large pictures in square tiles of this side, instances joined across '
              'them; needs less memory.')
@click.option('--precision', type=click.Choice(['fp32', 'bf16', 'fp16']), default='fp32',
              help='Precision of the network; fp16 needs a GPU.')
@click.option('--no-pictures', is_flag=True, help='Draw no pictures.')
@click.option('--keep-colors/--no-keep-colors', default=True,
              help='Whether an object keeps its colour through a video.')
@click.option('--overwrite', is_flag=True,
              help='Predict again what an earlier run left in DIR.')
@click.option('--engine', type=click.Choice(['local', 'ray']), default='local',
              help='ray: many workers on this machine or a cluster, for very many images.')
@click.option('--workers', type=click.IntRange(1), metavar='NUMBER',
              help='How many workers ray has.  [default: one a GPU, or one a CPU]')
@cfg_options('model.grouper.min_gain=0.2')
@allow_pickle
def predict(inputs: tuple[str, ...], out: str, formats: tuple[str, ...], overwrite: bool,
            score_thr: float, batch_size: int, no_pictures: bool, keep_colors: bool, engine: str,
            workers: int | None, **model: Any) -> None:
    """Find the instances in pictures and videos.

    INPUTS are files, folders, patterns, or http(s) addresses. A video becomes a video with its
    instances drawn in.

    \b
    DIR then has:
      vis/NAME.jpg                a picture of each prediction (vis/NAME_video.mp4 of a video)
      coco/annotations.json       masks with categories and scores; other formats likewise
      failed.json                 what could not be read, and why
      records/                    what is done: the same command goes on after a stop

    An image that is done is not predicted again unless it has changed; --format and --score-thr
    can be changed in between. What cannot be read is left out, listed at the end, and makes the
    exit code 1.

    With --engine ray, INPUTS and DIR may also be addresses of an object store (s3://bucket/photos).
    No pictures are drawn; parquet/ in DIR holds the predictions, an image a row, and says what is
    done. It needs pip install 'mmseg_instbox[ray]'.

    \b
    Examples:
      instbox predict cat.jpg
      instbox predict photos --out found --format coco,labelme
      instbox predict 'photos/**/*.png' --model work_dirs/my_config/iter_2000.pth
      instbox predict aerial.tif --tile 512
      instbox predict holiday.mp4
      instbox predict s3://bucket/photos --out s3://bucket/found --engine ray
    """
    load_package()
    if engine == 'ray':
        from .bulk import predict_in_bulk
        predict_in_bulk(inputs, out, formats, overwrite, score_thr, batch_size, workers, **model)
        return
    if workers is not None:
        raise click.UsageError('--workers is for --engine ray; the local engine is one process.')
    pictures, videos = find_inputs(inputs)
    inferencer, settings = open_model(**model)
    from ..apis.prediction_job import PredictionJob
    from ..apis.prediction_run import PredictionRun
    job = PredictionJob(inferencer, PredictionRun(out, settings, overwrite), pictures, videos,
                        score_thr, not no_pictures, batch_size, keep_colors)
    try:
        failed = with_bar('Predicting', len(pictures), len(job.done()), job.predict)
        failed += job.annotate()
        written = with_bar('Writing', len(job.done()), 0, partial(job.compile, formats))
    except KeyboardInterrupt:
        raise Interrupted(f'{len(job.done())} of {len(pictures)} images are done; the same '
                          'command goes on from there.') from None
    _report(job, failed, written)


def find_inputs(inputs: tuple[str, ...]) -> tuple[list, list]:
    """The images and the videos of the command line, as ``InputImage``.

    Raises:
        FileNotFoundError: A folder or a pattern holds none.
    """
    from ..apis.inputs import read_inputs
    from ..apis.prediction_job import read_videos, split_videos
    pictures, videos = split_videos(inputs)
    return list(read_inputs(pictures)), read_videos(videos)


def open_model(**options: Any) -> tuple[Any, dict[str, Any]]:
    """The inferencer, and what its predictions depend on; see ``open_inferencer``."""
    from ..apis.prediction_job import open_inferencer
    if str(options['model']).endswith('.py') and options['weights'] is None:
        raise click.UsageError(f'{options["model"]} is a config: give its --weights, too.')
    return open_inferencer(**options)


def with_bar(label: str, length: int, done: int, work: Callable[[Callable], Any]) -> Any:
    """Do work that reports how far it is, beneath a progress bar on the error stream."""
    with click.progressbar(length=length, label=label, show_pos=True, file=sys.stderr) as bar:
        bar.update(done)
        return work(bar.update)


def _report(job: 'PredictionJob', failed: list[dict[str, str]], written: list[Path]) -> None:
    """Say what was done and where it is; exit code 1 if something could not be read."""
    from ..utils import write_json
    folder, inputs = job.run.out_dir, len(job.images) + len(job.videos)
    click.echo(f'{inputs - len(failed)} of {inputs} inputs are done. Written:')
    pictures = [folder / 'vis'] if job.pictures or job.videos else []
    for path in [*pictures, *written]:
        click.echo(f'  {path}')
    failures = folder / 'failed.json'
    failures.unlink(missing_ok=True)
    if failed:
        write_json(failed, failures)
        for each in failed:
            click.echo(f'  {each["reason"]}', err=True)
        raise click.ClickException(f'{len(failed)} of {inputs} inputs could not be read; '
                                   f'{failures} lists them.')
