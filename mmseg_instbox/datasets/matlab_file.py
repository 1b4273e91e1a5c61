from pathlib import Path
from typing import Any

from scipy.io import loadmat


def read_matlab(path: Path, name: str) -> Any:
    """Read one variable of a MATLAB file: an array, or an object with a struct's fields.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is broken or holds no such variable.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file. Check the folder of annotations that was '
                                'given, and unpack the data set completely.')
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # scipy raises many types on a broken file
        raise ValueError(f'{path}: broken MATLAB file ({error}). Unpack the data set '
                         'again.') from error
    if name not in content:
        raise ValueError(f'{path}: holds no struct {name}, only '
                         f'{[key for key in content if key[:2] != "__"]}. Is this a file of the '
                         'data set?')
    return content[name]
