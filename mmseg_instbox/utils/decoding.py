"""Decodes images from files, addresses, videos and arrays to (H, W, 3) uint8 BGR."""
import http.client
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import InvalidInputError, MissingFileError
from .file_names import near_files, readable
from .foreign_errors import convert_errors, reason
from .image_header import DEEP_MODES, open_image, orientation
from .limits import check_limit

_METHODS = Image.Transpose
_TURNS = {2: _METHODS.FLIP_LEFT_RIGHT, 3: _METHODS.ROTATE_180, 4: _METHODS.FLIP_TOP_BOTTOM,
          5: _METHODS.TRANSPOSE, 6: _METHODS.ROTATE_270, 7: _METHODS.TRANSVERSE,
          8: _METHODS.ROTATE_90}  # by EXIF orientation
_GREY = (124, 117, 104)  # mmcv's background of a transparent grey image


def read_image(path: str | Path) -> np.ndarray:
    """Reads an image file, of several frames the first.

    Returns:
        np.ndarray: (H, W, 3) uint8 BGR, rotated as its EXIF orientation says. Grey images of more
        than 8 bits a pixel are stretched: 0.1 % of their pixels become black, 0.1 % white.

    Raises:
        MissingFileError: There is no such file; the message has names like it.
        InvalidInputError: A file that cannot be read, is no image, is truncated or has too many
            pixels.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f'{path}: no such file{near_files(Path(path))}') from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file has
        raise InvalidInputError(f'{path}: the file cannot be read ({reason(error)}).') from error
    return decode_image(content, str(path))


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Decodes the bytes of an image file, as :func:`read_image`; ``name`` is for errors."""
    if not content:
        raise InvalidInputError(f'{name}: the file is empty.')
    return pil_to_bgr(open_image(content, name), name)


def pil_to_bgr(image: Image.Image, name: str) -> np.ndarray:
    """Converts a PIL image to an array, as :func:`read_image`.

    Transparency is dropped as the data sets' loader does; ``name`` is for errors.
    """
    check_limit('pixels', image.width * image.height, f'{name}: the image')
    with convert_errors(f'{name}: the image is broken or truncated'):
        return upright_bgr(image)


def upright_bgr(image: Image.Image) -> np.ndarray:
    """Converts as :func:`pil_to_bgr`, and leaves checks and errors to the caller.

    Unlike ``ImageOps.exif_transpose``, it reads images whose other EXIF data are broken.
    """
    if turn := _TURNS.get(orientation(image)):
        image = image.transpose(turn)
    if image.mode in DEEP_MODES:  # pillow would cut it off at 255
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        low, high = np.percentile(values, (0.1, 99.9))
        values = (values - low) * (255 / max(high - low, 1e-9))
        return cv2.cvtColor(values.clip(0, 255).round().astype(np.uint8), cv2.COLOR_GRAY2BGR)
    if image.mode == 'LA':
        behind = Image.new('RGB', image.size, _GREY)
        behind.paste(image.convert('RGB'), mask=image.getchannel('A'))
        image = behind
    rgb = image if image.mode == 'RGB' else image.convert('RGB')
    return cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR)


def array_to_bgr(array: np.ndarray, name: str) -> np.ndarray:
    """Converts a uint8 array to (H, W, 3) uint8 BGR; ``name`` is for errors.

    It is (H, W, 3) BGR, (H, W) or (H, W, 1) grey, or (H, W, 4) BGRA whose last channel is dropped.
    Raises InvalidInputError for another shape or type, or no pixels.
    """
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.size == 0:
        raise InvalidInputError(f'{name}: shape {array.shape} of {array.dtype}; expected (H, W, 3) '
                                'uint8 in BGR order, or (H, W). Give several images as a list.')
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    if array.shape[2] not in (3, 4):
        raise InvalidInputError(f'{name}: {array.shape[2]} channels, expected 3 (BGR), 4 (BGRA) or '
                                '1; shape is (height, width, channels).')
    return np.ascontiguousarray(array[..., :3])


def fetch_image(address: str, timeout: float = 20, max_bytes: int = 64 * 2**20) -> np.ndarray:
    """Downloads the image of at most ``max_bytes`` at an http or https address.

    Raises:
        InvalidInputError: The address does not answer within ``timeout`` seconds, or holds no image
            or too large a file.
    """
    request = urllib.request.Request(address, headers={'User-Agent': 'mmseg_instbox'})
    with convert_errors(f'{address}: cannot be fetched', OSError, ValueError,
                        http.client.HTTPException):
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            content = answer.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InvalidInputError(f'{address}: larger than {max_bytes / 2**20:.0f} MB. Download the '
                                'file and give its path.')
    return decode_image(content, address)


class VideoFrames:
    """The frames of a video file, one after another.

    ``total`` is their number as the header says, None if it does not; ``fps`` frames a second, 25
    if the header does not say. Raises InvalidInputError if OpenCV cannot open the file, or a frame
    has too many pixels.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        capture = self._open()
        total, fps, width, height = (capture.get(each) for each in (
            cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_WIDTH,
            cv2.CAP_PROP_FRAME_HEIGHT))
        capture.release()
        check_limit('pixels', int(width) * int(height), f'{path}: a frame')
        self.total = int(total) if total > 0 else None
        self.fps = fps if 0 < fps < 1000 else 25.0

    def _open(self) -> cv2.VideoCapture:
        if not self.path.is_file():
            raise MissingFileError(f'{self.path}: no such video.')
        if readable(str(self.path)) != str(self.path):  # which ends the process
            raise InvalidInputError(f'{self.path}: OpenCV opens no video whose name is no UTF-8: '
                                    'rename the file.')
        capture = cv2.VideoCapture(str(self.path))
        if not capture.isOpened():
            raise InvalidInputError(f'{self.path}: OpenCV cannot read this video. Convert it, for '
                                    'example with: ffmpeg -i VIDEO -c:v libx264 -pix_fmt yuv420p '
                                    'OUT.mp4')
        return capture

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames (H, W, 3) uint8 BGR; raises InvalidInputError if not even the first decodes."""
        capture, number = self._open(), 0
        try:
            while (frame := capture.read()[1]) is not None:
                number += 1
                yield frame
        finally:
            capture.release()
        if not number:
            raise InvalidInputError(f'{self.path}: the video has no frame that can be read.')
