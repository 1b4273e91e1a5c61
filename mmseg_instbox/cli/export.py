"""``instbox export``."""
from pathlib import Path
from typing import Any

import click

from .options import CommandWithConfig, allow_pickle, cfg_options
from .startup import load_package

SUFFIXES = dict(onnx='.onnx', openvino='.xml')  # of the formats' files
MAX_CALIBRATION = 100  # images


@click.command(cls=CommandWithConfig, short_help='Export a model to ONNX or OpenVINO.')
@click.argument('files', nargs=-1, required=True, metavar='[MODEL [WEIGHTS]] OUT')
@click.option('--format', 'kind', type=click.Choice(list(SUFFIXES)),
              help='Format of the file.  [default: by the ending of OUT]')
@click.option('--int8', is_flag=True,
              help='Quantize the convolutions to int8; needs --calibration.')
@click.option('--calibration', metavar='INPUT',
              help=f'Folder or pattern of images to calibrate int8 with; at most {MAX_CALIBRATION} '
              'are used, evenly chosen.')
@cfg_options('model.grouper.min_gain=0.2')
@allow_pickle
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
    path = output_path(out, kind)
    if int8 != (calibration is not None):
        raise click.UsageError('--int8 and --calibration INPUT go together.')
    load_package()
    from ..apis.inferencer_settings import default_weights
    from ..apis.model_loading import load_model
    from ..deploy import export_model
    images = None if calibration is None else calibration_images(calibration)
    model, weights = [*source, None, None][:2]
    network = load_model(model or default_weights(), weights, 'cpu', **settings)
    written = export_model(network, path, images)
    size = sum(each.stat().st_size for each in {written, _weights_of(written)})
    click.echo(f'{written} is written ({size / 2**20:.1f} MB) and agrees with the model.')


def output_path(out: str, kind: str | None) -> Path:
    """Returns the file of ``OUT``, with an ending.

    Raises:
        UsageError: The ending belongs to no format, or to another one than ``kind``.
    """
    path = Path(out)
    if kind is not None and path.suffix != SUFFIXES[kind]:
        if path.suffix in SUFFIXES.values():
            raise click.UsageError(f'{out} does not end in {SUFFIXES[kind]}, as {kind} does.')
        path = path.with_name(path.name + SUFFIXES[kind])
    if path.suffix not in SUFFIXES.values():
        raise click.UsageError(f'{out} ends neither in .onnx nor in .xml: name OUT last, or give '
                               '--format.')
    return path


def _weights_of(written: Path) -> Path:
    """Returns the file with the weights: OpenVINO has a separate one."""
    return written.with_suffix('.bin') if written.suffix == '.xml' else written


def calibration_images(inputs: str) -> list:
    """Reads at most ``MAX_CALIBRATION`` images of a folder or pattern, evenly chosen, as arrays
    (H, W, 3) uint8 BGR.

    Raises:
        FileNotFoundError: There are none.
        ValueError: One cannot be read.
    """
    from ..utils.inputs import read_inputs
    images = list(read_inputs(inputs))
    count = min(len(images), MAX_CALIBRATION)
    return [images[index * len(images) // count].load() for index in range(count)]
