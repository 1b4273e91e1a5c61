"""Small annotated images in a folder of a test."""
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

OWN = Path(os.environ.get('INSTBOX_DATA', Path(__file__).parents[4] / 'shared' / 'data')) / 'own'


@pytest.fixture
def picture(tmp_path) -> Callable[..., Path]:
    """A function that writes a grey image of 60 x 40 pixels, or another, below the folder."""

    def write(name: str, size: tuple[int, int] = (60, 40), orientation: int = 1) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new('RGB', size, (90, 90, 90)).save(file, exif=exif)
        return file

    return write


@pytest.fixture
def write_json(tmp_path) -> Callable[..., Path]:
    """A function that writes a JSON file below the folder."""

    def write(name: str, content: object) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
        return file

    return write


@pytest.fixture(scope='session')
def own() -> Path:
    """Real data sets that people made for themselves."""
    if not OWN.is_dir():
        pytest.skip('the data sets of others are not there; set INSTBOX_DATA')
    return OWN
