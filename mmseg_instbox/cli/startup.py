"""Imports the package, which takes seconds, without the notices of its dependencies."""
import io
import logging
import warnings
from contextlib import redirect_stdout
from importlib import import_module

import click

PACKAGES = ('registry', 'datasets.registered', 'engine.hooks', 'engine.loops',
            'engine.optim_wrappers', 'engine.samplers', 'engine.training', 'evaluation', 'models',
            'visualization')


def load_package() -> None:
    """Import the package, which registers its classes, and prepare for a run.

    This hides the notices of MMSegmentation and MMDetection about optional parts that are not
    installed, which this package does not need.
    """
    import cv2
    from mmengine.logging import MMLogger
    MMLogger.get_current_instance()  # so that its handler writes to the current stream
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            for package in PACKAGES:
                import_module(f'mmseg_instbox.{package}')
    finally:
        logging.disable(logging.NOTSET)
    # their warnings when a model is built concern defaults that our configs set
    warnings.filterwarnings('ignore', category=UserWarning, module=r'mm(cv|seg|det)\.')
    cv2.setNumThreads(0)  # OpenCV's own threads deadlock in forked data loader workers


def announce_device() -> None:
    """Print a note if there is no GPU."""
    from mmengine.device import get_device
    if get_device() == 'cpu':
        click.echo('No GPU here: this runs on the CPU.', err=True)
