"""Opens image files and checks their size before the pixels are decoded."""
import contextlib
import io
import os
import warnings

from PIL import ExifTags, Image

from ..errors import InvalidInputError, TooLargeError
from .foreign_errors import convert_errors, reason
from .limits import check_limit, limit

# Pillow also knows formats that hand a file to other programs (EPS) or lead to other files
_SAFE = ('AVIF', 'BMP', 'GIF', 'HEIF', 'JPEG', 'JPEG2000', 'MPO', 'PNG', 'PPM', 'TIFF', 'WEBP')
DEEP_MODES = ('I', 'F', 'I;16', 'I;16B', 'I;16L', 'I;16N')

Image.init()
with contextlib.suppress(ImportError):  # reads HEIC, the photographs of iPhones
    from pillow_heif import register_heif_opener
    register_heif_opener()
FORMATS = tuple(each for each in _SAFE if each in Image.OPEN)  # those that can be read here
IMAGE_SUFFIXES = tuple(suffix for suffix, kind in sorted(Image.registered_extensions().items())
                       if kind in FORMATS and suffix != '.pfm')  # that is no image but distances


def open_image(content: bytes | str | os.PathLike, name: str) -> Image.Image:
    """Opens an image, given as its bytes or path, and checks its size; nothing is decoded.

    Raises InvalidInputError, which calls the image ``name``, if it is in none of ``FORMATS``, and
    TooLargeError if it has more pixels than the limit ``pixels`` of :mod:`.limits`.
    """
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    largest = limit('pixels')
    # Pillow's own limit must not be below ours
    if Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < largest:
        Image.MAX_IMAGE_PIXELS = largest
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            image = Image.open(source, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise TooLargeError(f'{name}: the image has more than {2 * largest:,} pixels, the limit is '
                            f'{largest:,}; INSTBOX_MAX_PIXELS=NUMBER raises it.') from error
    except Image.UnidentifiedImageError as error:
        raise InvalidInputError(f'{name}: not an image that can be read (unknown format). Use '
                                'JPEG, PNG, WebP, TIFF or BMP; HEIC needs pip install '
                                'pillow-heif.') from error
    except Exception as error:  # pillow raises many types on what is no image
        raise InvalidInputError(f'{name}: not an image that can be read '
                                f'({reason(error)}).') from error
    check_limit('pixels', image.width * image.height, f'{name}: the image')
    return image


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image; 1, upright, where its EXIF data have none or are broken."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except OSError:  # of the pixels, which a PNG has before its EXIF data
        raise
    except Exception:  # pillow raises many types
        return 1


def check_tiff_size(content: bytes, name: str) -> None:
    """Checks the size of a TIFF as :func:`open_image`, also of a kind that Pillow does not read."""
    import tifffile  # optional: mmcv's imdecode_backend='tifffile' needs it
    with convert_errors(f'{name}: not a TIFF image that can be read'):
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page = file.pages[0]
            check_limit('pixels', page.imagelength * page.imagewidth, f'{name}: the image')
