"""``instbox export``."""
from pathlib import Path
from typing import Any

import click

from .options import CommandWithConfig, allow_pickle, cfg_options
from .startup import load_package

SUFFIXES = dict(onnx='.onnx', openvino='.xml')  # of the formats' files
MAX_CALIBRATION = 100  # pictures


@click.command(cls=CommandWithConfig, short_help='Write a model as ONNX or OpenVINO.')
@click.argument('files', nargs=-1, required=True, metavar='[MODEL [WEIGHTS]] OUT')
@click.option('--format', 'kind', type=click.Choice(list(SUFFIXES)),
              help='Format of the file.  [default: what the ending of OUT says]')
@click.option('--int8', is_flag=True,
              help='Let the convolutions compute with 8-bit whole numbers; needs --calibration.')
@click.option('--calibration', metavar='INPUT',
              help='Folder or pattern of pictures from which the ranges of numbers are learnt; '
              f'of more than {MAX_CALIBRATION}, as many, evenly chosen.')
@cfg_options('model.grouper.min_gain=0.2')
@allow_pickle
def export(files: tuple[str, ...], kind: str | None, int8: bool, calibration: str | None,
           **settings: Any) -> None:
    """Write a model as a file that runs without OpenMMLab: ONNX (.onnx) or OpenVINO (.xml, .bin).

    MODEL is a checkpoint of ours, a config, or a name that `instbox models` lists, and WEIGHTS the
    checkpoint where MODEL does not bring it; without them it is the model that comes along. The
    file has the names of the categories, how pictures are scaled and normalised, and the settings
    of grouping in it. It is run and compared with the model, and written only if it says the same.

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
    pictures = None if calibration is None else calibration_pictures(calibration)
    model, weights = [*source, None, None][:2]
    network = load_model(model or default_weights(), weights, 'cpu', **settings)
    written = export_model(network, path, pictures)
    size = sum(each.stat().st_size for each in {written, _weights_of(written)})
    click.echo(f'{written} is written ({size / 2**20:.1f} MB) and says what the model says.')


def output_path(out: str, kind: str | None) -> Path:
    """The file of ``OUT``, with an ending.

    Raises:
        UsageError: The ending is none of a format's, or another one's than ``kind``.
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
    """The file with the weights: OpenVINO has one of its own."""
    return written.with_suffix('.bin') if written.suffix == '.xml' else written


def calibration_pictures(inputs: str) -> list:
    """At most ``MAX_CALIBRATION`` of the pictures of a folder or pattern, evenly chosen, as arrays
    (H, W, 3) uint8 BGR.

    Raises:
        FileNotFoundError: There are none.
        ValueError: One that cannot be read.
    """
    from ..apis.inputs import read_inputs
    images = list(read_inputs(inputs))
    count = min(len(images), MAX_CALIBRATION)
    return [images[index * len(images) // count].load() for index in range(count)]
