"""Errors and process settings of the scripts in ``tools/``."""
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch
from mmengine.logging import MMLogger

from ..main import USER_ERRORS


@contextmanager
def user_errors() -> Iterator[None]:
    """Reports errors of this package and of files in one line; bugs keep their traceback.

    ``INSTBOX_DEBUG=1`` in the environment keeps all tracebacks.
    """
    try:
        yield
    except USER_ERRORS as error:
        if os.environ.get('INSTBOX_DEBUG'):
            raise
        sys.exit(f'{os.path.basename(sys.argv[0])}: {error}')


def quiet_and_single() -> None:
    """Logs warnings only and uses one thread, for scripts that are parallel over images."""
    MMLogger.get_current_instance().setLevel('WARNING')
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
