from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from ..errors import InvalidInputError, MissingFileError
from ..utils.foreign_errors import reason
from ..utils.limits import check_limit


def read_matlab(path: Path, name: str) -> Any:
    """Read one variable of a MATLAB file: an array, or an object with a struct's fields.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is broken or holds no such variable.
    """
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file. Check the folder of annotations that was '
                               'given, and unpack the data set completely.')
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # scipy raises many types on a broken file
        raise InvalidInputError(f'{path}: broken MATLAB file ({reason(error)}). Unpack the data '
                                'set again.') from error
    if name not in content:
        raise InvalidInputError(f'{path}: holds no struct {name}, only '
                                f'{[key for key in content if key[:2] != "__"]}. Is this a file of '
                                'the data set?')
    return content[name]


def check_indices(path: Path, values: Any, name: str, ndim: int) -> np.ndarray:
    """An array of indices, whole numbers from 0 on, int64.

    Args:
        path: The file.
        values: What :func:`read_matlab` or a field of it gave, None for a field that is missing.
        name: Its name.
        ndim: How many dimensions it has; a single number passes as one of one.

    Raises:
        ValueError: It is something else.
    """
    values = np.atleast_1d(np.asarray(values))
    if values.dtype.kind not in 'biuf' or values.ndim != ndim:
        raise InvalidInputError(f'{path}: {name} is of type {values.dtype} and shape '
                                f'{values.shape}, expected whole numbers in {ndim} dimensions. '
                                'Unpack the data set again.')
    check_limit('pixels', values.size, f'{path}: {name}')
    if not ((values >= 0) & (values < 2**31) & (values == np.floor(values))).all():
        raise InvalidInputError(f'{path}: {name} holds {values.min()} to {values.max()}, expected '
                                'whole numbers from 0 on. Unpack the data set again.')
    return values.astype(np.int64)
