import mmcv
import mmengine.fileio as fileio
import numpy as np

from mmseg_instbox.errors import InvalidInputError, MissingFileError
from mmseg_instbox.utils.foreign_errors import reason
from mmseg_instbox.utils.image_header import open_image


def read_bytes(path: str, what: str, backend_args: dict | None = None) -> bytes:
    """Read a file of a data set.

    Args:
        path: Path of the file.
        what: What the file is, for the error message.
        backend_args: Arguments of mmengine's file backend.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read or is empty.
    """
    try:
        content = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise MissingFileError(f'{path}: no such {what}. Check data_root, data_prefix, the file '
                               'suffixes and the list given as ann_file.') from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file has
        raise InvalidInputError(f'{path}: the {what} cannot be read ({error}).') from error
    if not content:
        raise InvalidInputError(f'{path}: the {what} is an empty file. Replace it.')
    return content


def read_mask(path: str, what: str, backend_args: dict | None = None) -> np.ndarray:
    """Read an indexed or greyscale mask as the indices that it stores.

    Args:
        path: Path of the mask.
        what: What the file is, for the error message.
        backend_args: Arguments of mmengine's file backend.

    Returns:
        Mask of shape (H, W), int32.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not decode fully, has several channels or too many pixels, or
            holds fractions.
    """
    content = read_bytes(path, what, backend_args)
    if open_image(content, path).mode == 'F':
        raise InvalidInputError(f'{path}: the {what} holds fractions, expected whole numbers, the '
                                'indices. Save it as indexed or greyscale PNG.')
    try:
        mask = mmcv.imfrombytes(content, flag='unchanged', backend='pillow')
    except Exception as error:  # pillow raises many types on a broken file
        raise InvalidInputError(f'{path}: the {what} is broken or truncated ({reason(error)}). '
                                'Replace it.') from error
    if mask.ndim != 2:
        raise InvalidInputError(f'{path}: the {what} has {mask.shape[2]} channels, expected one. '
                                'Save it as indexed or greyscale PNG whose pixel values are the '
                                'indices.')
    return mask.astype(np.int32)
