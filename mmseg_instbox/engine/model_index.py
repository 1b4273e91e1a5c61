"""Finds models by name in ``model-index.yml``."""
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import yaml

from ..errors import InvalidInputError, MissingFileError

PACKAGE = Path(__file__).resolve().parents[1]


def list_models() -> list[str]:
    """The names of all models of the index, in its order."""
    return list(_models())


def find_model(name: str) -> tuple[str, str | None]:
    """The path of a model's config, and path or address of its weights where the index has some.

    Raises:
        InvalidInputError: There is no such model; the message has the nearest names.
    """
    models = _models()
    if name not in models:
        near = get_close_matches(name, models, n=3, cutoff=0.3)
        hint = f'the nearest are {", ".join(near)}' if near else 'see list_models()'
        raise InvalidInputError(f'There is no model {name!r} among the {len(models)} of the model '
                                f'index; {hint}. A config file is given by its path.')
    entry, root = models[name], index_root()
    weights = entry.get('Weights')
    if weights and '://' not in weights:
        weights = str(root / weights)
    return str(root / entry['Config']), weights or None


def index_root() -> Path:
    """The folder with ``model-index.yml`` and ``configs``: of the package or of a checkout."""
    for folder in (PACKAGE / '.mim', PACKAGE.parent):
        if (folder / 'model-index.yml').is_file():
            return folder
    raise MissingFileError(f'There is no model-index.yml in {PACKAGE / ".mim"}: install the '
                           'package with pip, or run from a checkout.')


@cache
def _models() -> dict[str, dict]:
    """The entries of all metafiles by name."""
    root = index_root()
    return {entry['Name']: entry
            for file in yaml.safe_load((root / 'model-index.yml').read_text())['Import']
            for entry in yaml.safe_load((root / file).read_text())['Models']}
