"""``instbox serve``."""
import signal
from importlib.util import find_spec
from typing import Any

import click

from .options import CommandWithConfig, options
from .startup import load_package


@click.command(cls=CommandWithConfig)
@options('model', 'weights', 'device')
@click.option('--host', default='127.0.0.1', help='Address to listen at. The default is reachable '
              'from this machine only; the page has no password.')
@click.option('--port', type=click.IntRange(1, 65535),
              help='Port.  [default: the first free one from 7860 on]')
@click.option('--max-pixels', type=click.IntRange(1), default=16_000_000,
              help='Images of more pixels are scaled down; of more than four times as many, '
              'refused.')
@click.option('--max-upload-mb', type=click.FloatRange(0, min_open=True), default=40,
              help='Larger files are refused.')
@click.option('--max-stored-mb', type=click.FloatRange(0, min_open=True), default=1000,
              help='Limit of all stored uploads and downloads; the oldest are deleted first.')
@click.option('--queue-size', type=click.IntRange(1), default=64,
              help='Number of requests that may wait; further ones are refused.')
@click.option('--allowed-host', 'allowed_hosts', multiple=True, metavar='NAME',
              help='Host name under which visitors reach the page through a reverse proxy, for '
              'example demo.example.org or *.example.org; may be repeated.')
@options('cfg_options', 'allow_pickle')
def serve(model: str | None, weights: str | None, device: str | None, cfg_options: dict | None,
          allow_pickle: bool, host: str, **limits: Any) -> None:
    """Show the instances of images on a web page.

    Drop an image, point at objects, move sliders that group again without running the network,
    and save masks as COCO JSON or PNG. Images stay on this machine. Needs the extra "demo":
    pip install 'mmseg_instbox[demo]'.

    \b
    Examples:
      instbox serve
      instbox serve --model work_dirs/my_config/iter_2000.pth --port 8000
    """
    if find_spec('gradio') is None:
        raise click.ClickException("The page needs Gradio, which is not installed: "
                                   "pip install 'mmseg_instbox[demo]'")
    load_package('datasets', 'apis.inst_box_inferencer', mask_heads=False)
    from ..apis import InstBoxInferencer
    from ..web import LOOPBACK
    from ..web import serve as serve_page
    inferencer = InstBoxInferencer(model, weights, device, cfg_options=cfg_options,
                                   allow_pickle=allow_pickle, show_progress=False)
    if host not in LOOPBACK:
        click.echo(f'Anyone who can reach {host} can use the page.', err=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that temporary files are removed
    serve_page(inferencer, host=host, **limits)
