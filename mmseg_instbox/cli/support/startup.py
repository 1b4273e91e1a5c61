"""Imports the package for a run, without the remarks of the packages that it builds on."""
import io
import logging
import warnings
from contextlib import redirect_stdout
from importlib import import_module

import click

# what takes seconds to import, and registers our classes
SUBPACKAGES = ('registry', 'datasets', 'engine.hooks', 'engine.optim_wrappers', 'engine.samplers',
               'engine.training', 'evaluation', 'models', 'visualization')


def load_package() -> None:
    """Import the package, which registers its classes, and prepare for a run.

    MMSegmentation and MMDetection warn at each start about optional parts that are not installed;
    no part of this package needs them, so these warnings are hidden.
    """
    import cv2
    from mmengine.logging import MMLogger
    MMLogger.get_current_instance()  # so that its handler writes to the stream as it is now
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            for name in SUBPACKAGES:
                import_module(f'mmseg_instbox.{name}')
    finally:
        logging.disable(logging.NOTSET)
    # their warnings while a model is built are about their own defaults, which our configs set
    warnings.filterwarnings('ignore', category=UserWarning, module=r'mm(cv|seg|det)\.')
    cv2.setNumThreads(0)  # OpenCV's own threads deadlock in forked data loader workers


def announce_device() -> None:
    """Print a note if there is no GPU."""
    from mmengine.device import get_device
    if get_device() == 'cpu':
        click.echo('No GPU here: this runs on the CPU.', err=True)
