from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from ..errors import InvalidInputError, MissingFileError
from ..utils.foreign_errors import convert_errors
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
    with convert_errors(f'{path}: broken MATLAB file, unpack the data set again'):
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    if name not in content:
        raise InvalidInputError(f'{path}: holds no struct {name}. Is this a file of the data set?')
    return content[name]


def check_indices(path: Path, values: Any, name: str, ndim: int) -> np.ndarray:
    """An array of indices, whole numbers from 0 on, int64.

    ``values`` is what :func:`read_matlab` or a field of it gave, None for a missing field. ``path``
    and ``name`` are for the ValueError about something else. A single number has one dimension.
    """
    values = np.atleast_1d(np.asarray(values))
    check_limit('pixels', values.size, f'{path}: {name}')
    if values.dtype.kind not in 'biuf' or values.ndim != ndim or not (
            (values >= 0) & (values < 2**31) & (values == np.floor(values))).all():
        raise InvalidInputError(f'{path}: {name} is of type {values.dtype} and shape '
                                f'{values.shape}, expected whole numbers from 0 on in {ndim} '
                                'dimensions. Unpack the data set again.')
    return values.astype(np.int64)
