"""An image of known objects, and a free port to serve the page at."""
import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for colour_inferencer

from colour_inferencer import ColourInferencer, draw_scene  # noqa: E402


@pytest.fixture
def inferencer() -> ColourInferencer:
    """An inferencer that reads objects from colours and counts its passes."""
    return ColourInferencer()


@pytest.fixture(scope='session')
def scene_file(tmp_path_factory) -> Path:
    """The image of ``draw_scene`` as PNG."""
    file = tmp_path_factory.mktemp('images') / 'scène 1.png'
    file.write_bytes(cv2.imencode('.png', draw_scene()[0])[1].tobytes())
    return file


@pytest.fixture(scope='session')
def truth() -> list[np.ndarray]:
    """Masks of the objects, the highest score first."""
    return list(draw_scene()[1].values())


@pytest.fixture
def free_port() -> int:
    """A port that is not in use."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
