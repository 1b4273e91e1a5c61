"""Finds the config that a user means."""
from difflib import get_close_matches
from pathlib import Path

from ..errors import MissingFileError


def find_config(name: str) -> str:
    """The path of a config, given by its path or by its name in the model index.

    Args:
        name: The path of a ``.py`` file, or a name such as
            ``instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500``.

    Raises:
        FileNotFoundError: ``name`` is a path and there is no such file.
        ValueError: The model index has no such name.
    """
    path = Path(name)
    if path.is_file():
        return name
    if path.suffix == '.py' or len(path.parts) > 1:
        raise MissingFileError(f'There is no config file {name!r}{near_files(path)}')
    from ..apis.model_index import find_model  # apis builds on engine
    return str(find_model(name)[0])


def near_files(path: Path) -> str:
    """The end of a sentence about a missing file: which files in its folder have such a name."""
    if not path.parent.is_dir():
        return f'; there is no folder {str(path.parent)!r} either.'
    names = [file.name for file in path.parent.glob(f'*{path.suffix}') if file.is_file()]
    near = get_close_matches(path.name, names, n=3)
    return f'; near it are {", ".join(near)}.' if near else '.'
