"""``instbox models``, ``instbox info`` and ``instbox export``: what concerns a model itself."""
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from prettytable import PrettyTable

from ..utils import write_json
from ..utils.openmmlab import quiet_imports
from .options import CommandWithConfig, options
from .startup import load_package

if TYPE_CHECKING:
    from mmengine.config import Config

SUFFIXES = dict(onnx='.onnx', openvino='.xml')  # of the formats' files
MAX_CALIBRATION = 100  # images


@click.command()
@click.argument('words', nargs=-1)
@click.option('--weights', is_flag=True, help='Only models with published weights.')
def models(words: tuple[str, ...], weights: bool) -> None:
    """List the models of the model index.

    Only names that contain all WORDS are listed. All commands take a name in place of a config.

    \b
    Examples:
      instbox models
      instbox models mobilenet voc-mini
      instbox train instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160
    """
    from ..engine.model_index import find_model, list_models
    names = [name for name in list_models()
             if all(word in name for word in words) and (find_model(name)[1] or not weights)]
    if not names:
        raise click.ClickException('No model fits; `instbox models` lists all of them.')
    click.echo('\n'.join(names))


@click.command(short_help='Print the environment, or the size and cost of models.')
@click.argument('configs', nargs=-1, metavar='[CONFIG]...')
@click.option('--shape', type=click.IntRange(1), nargs=2, default=(512, 512), metavar='H W',
              help='Height and width of the input image.')
@click.option('--out', metavar='FILE', help='JSON file for the figures, with the operations that '
              'were not counted.')
def info(configs: tuple[str, ...], shape: tuple[int, int], out: str | None) -> None:
    """Print the environment for bug reports, or the parameters, FLOPs and memory of models.

    CONFIG is the path of a config file, a name that `instbox models` lists, or a config of a
    package such as mmseg::fcn/NAME.py; without it, the environment is printed. A multiplication
    with its addition counts as one FLOP; grouping does not count.

    \b
    Examples:
      instbox info
      instbox info my_config.py
      instbox info instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500 --shape 500 500
    """
    if not configs:
        click.echo(environment())
        return
    # The C library of a new process then returns freed memory: its peak is what the model uses.
    os.environ.setdefault('MALLOC_MMAP_THRESHOLD_', '65536')
    rows = []
    for config in configs:  # in a process of its own, so that the memory of models does not add up
        with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
            rows.append(pool.submit(measure_model, config, shape).result())
    click.echo(format_rows(rows))
    click.echo(f'One image of {shape[0]} x {shape[1]} pixels; memory is the growth of the process.')
    if out is not None:
        click.echo(f'The figures are in {write_json(dict(shape=shape, rows=rows), out)}')


def environment() -> str:
    """Lists the versions of the packages that a run depends on, one per line."""
    load_package('models')
    from mmengine.utils.dl_utils import collect_env

    from ..utils.openmmlab import DISTRIBUTIONS
    from ..version import __version__
    names = (*DISTRIBUTIONS['mmseg'], *DISTRIBUTIONS['mmdet'], 'onedl-mmcv', 'mmcv', 'numpy',
             'pycocotools', 'gradio')
    rows = {'mmseg_instbox': __version__} | {
        name: metadata.version(name) for name in names if any(metadata.distributions(name=name))}
    rows |= collect_env()
    rows.pop('numpy_random_seed', None)
    return '\n'.join(f'{key}: {str(value).strip()}' for key, value in rows.items())


def read_config(name: str) -> 'Config':
    """Reads a config by its path, or its name in the model index or in a package (``mmseg::``)."""
    from mmengine.config import Config

    from ..engine import load_config
    with quiet_imports():  # of the modules that the config names
        return Config.fromstring(f'_base_ = {name!r}', '.py') if '::' in name else load_config(name)


def measure_model(config: str, shape: tuple[int, int]) -> dict:
    """The figures of a model, see :func:`.model_stats.measure`; called first in a process."""
    cfg = read_config(config)
    # its memory is not the model's
    load_package('cli.model_stats', mask_heads='mmdet.' in str(cfg))
    import torch

    from .model_stats import measure
    torch.set_num_threads(1)
    return dict(config=config, **measure(cfg, shape))


def format_rows(rows: Sequence[dict]) -> str:
    """A table with a line for each model."""
    table = PrettyTable(['config', 'parameters', 'box head: parameters', 'FLOPs',
                         'box head: FLOPs', 'memory'])
    table.align['config'] = 'l'
    for row in rows:
        shares = ['-' if row['box_head'] is None else f'{row["box_head"][key] / row[key]:.1%}'
                  for key in ('parameters', 'flops')]
        memory = '-' if row['memory'] is None else f'{row["memory"] / 2**20:.0f} MiB'
        table.add_row([Path(row['config'].split('::')[-1]).stem, f'{row["parameters"] / 1e6:.2f} M',
                       shares[0], f'{row["flops"] / 1e9:.1f} G', shares[1], memory])
    return table.get_string()


@click.command(cls=CommandWithConfig, short_help='Export a model to ONNX or OpenVINO.')
@click.argument('files', nargs=-1, required=True, metavar='[MODEL [WEIGHTS]] OUT')
@click.option('--format', 'kind', type=click.Choice(list(SUFFIXES)),
              help='Format of the file.  [default: by the suffix of OUT]')
@click.option('--int8', is_flag=True,
              help='Quantize the convolutions to int8; needs --calibration.')
@click.option('--calibration', metavar='INPUT',
              help='Folder or pattern of images to calibrate int8 with; at most '
              f'{MAX_CALIBRATION} are used, evenly chosen.')
@options('cfg_options', 'allow_pickle')
def export(files: tuple[str, ...], kind: str | None, int8: bool, calibration: str | None,
           **settings: Any) -> None:
    """Export a model to a file that runs without OpenMMLab: ONNX (.onnx) or OpenVINO (.xml, .bin).

    MODEL is a checkpoint of ours, a config, or a name that `instbox models` lists, and WEIGHTS the
    checkpoint if MODEL has none; by default the model of the package. The file contains the names
    of the categories, how images are scaled and normalised, and the settings of grouping. It is run
    and compared with the model, and written only if the outputs agree.

    \b
    Examples:
      instbox export model.onnx
      instbox export work_dirs/my_config/iter_2000.pth model.onnx
      instbox export my_config.py iter_2000.pth model.xml
      instbox export iter_2000.pth small.onnx --int8 --calibration photos
      instbox predict photos --model model.onnx
    """
    *source, out = files
    if len(source) > 2:
        raise click.UsageError(f'Expected MODEL, WEIGHTS and OUT, got {len(files)} names.')
    path = Path(out)
    if path.suffix in SUFFIXES.values():
        if kind is not None and path.suffix != SUFFIXES[kind]:
            raise click.UsageError(f'{out} does not end in {SUFFIXES[kind]}, as {kind} does.')
    elif kind is None:
        raise click.UsageError(f'{out} ends neither in .onnx nor in .xml: name OUT last, or give '
                               '--format.')
    else:
        path = path.with_name(path.name + SUFFIXES[kind])
    if int8 != (calibration is not None):
        raise click.UsageError('--int8 and --calibration INPUT go together.')
    load_package('models', mask_heads=False)
    from ..apis.model_loading import default_weights
    from ..deploy import export_model
    from ..engine import load_model
    images = None if calibration is None else calibration_images(calibration)
    network = load_model(*(source or [default_weights()]), device='cpu', **settings)
    written = export_model(network, path, images)
    parts = (written, written.with_suffix('.bin')) if written.suffix == '.xml' else (written,)
    size = sum(each.stat().st_size for each in parts)
    click.echo(f'{written} is written ({size / 2**20:.1f} MB) and agrees with the model.')


def calibration_images(inputs: str) -> list:
    """Reads at most ``MAX_CALIBRATION`` images ``(H, W, 3)`` uint8 BGR, evenly chosen."""
    from ..utils.inputs import read_inputs
    images = list(read_inputs(inputs))
    count = min(len(images), MAX_CALIBRATION)
    return [images[index * len(images) // count].load() for index in range(count)]
