"""Pictures: the inferencer's reader and the data sets' must agree on each."""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg_instbox.datasets.transforms.loading import LoadInstImage
from mmseg_instbox.errors import InstBoxError
from mmseg_instbox.utils.decoding import read_image

from . import require
from .mutations import mutate_bytes, pick


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """A gradient with a disc, uint8."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 3, columns * 2, rows + columns, rows * 0 + 200], axis=-1) % 256
    image[np.hypot(rows - height / 2, columns - width / 2) < height / 4] = (220, 40, 60, 90)
    return np.ascontiguousarray(image[..., :channels].astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image file as bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_check_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the check sums of their content, as far as they can be followed."""
    fixed, place = bytearray(data), 8
    while place + 12 <= len(data):
        end = place + 8 + struct.unpack('>I', data[place:place + 4])[0]
        if end + 4 > len(data):
            break
        fixed[end:end + 4] = struct.pack('>I', zlib.crc32(data[place + 4:end]))
        place = end + 4
    return bytes(fixed)


class _Pictures:
    """Damaged files of one format."""
    suffix = ''

    def __init__(self, folder: Path) -> None:
        self.file = folder / f'input{self.suffix}'
        self.sound = self.seeds()

    def seeds(self) -> list[bytes]:
        """Sound files, of all kinds that the format knows."""
        raise NotImplementedError

    def write(self, rng: np.random.Generator) -> None:
        """A damaged file."""
        self.file.write_bytes(mutate_bytes(pick(rng, self.sound), rng))

    def read(self) -> None:
        """Both readers refuse it, or give the same picture of the size in its header."""
        try:
            image = read_image(self.file)
        except InstBoxError:
            self._check_refused()
            raise
        loaded = LoadInstImage()(dict(img_path=str(self.file)))['img']
        require(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3,
                f'shape {image.shape} of {image.dtype}')
        with Image.open(self.file) as header:
            require(sorted(image.shape[:2]) == sorted(header.size), 'not the size of the header')
        require(np.array_equal(image, loaded), 'the two readers differ')

    def _check_refused(self) -> None:
        try:
            LoadInstImage()(dict(img_path=str(self.file)))
        except InstBoxError:
            return
        require(False, 'the data sets take what the inferencer refuses')


class Jpeg(_Pictures):
    """JPEG: baseline, progressive, grey, CMYK, turned by EXIF."""
    suffix = '.jpg'

    def seeds(self) -> list[bytes]:
        """Sound files."""
        colour = Image.fromarray(picture(40, 56))
        turned = Image.Exif()
        turned[0x0112] = 6
        return [encode(colour, 'JPEG'), encode(colour, 'JPEG', progressive=True),
                encode(colour.convert('L'), 'JPEG'), encode(colour.convert('CMYK'), 'JPEG'),
                encode(colour, 'JPEG', exif=turned)]


class Png(_Pictures):
    """PNG: colour, transparent, grey of 1, 8 and 16 bits, palette, interlaced text."""
    suffix = '.png'

    def write(self, rng: np.random.Generator) -> None:
        """A damaged file, in half of the cases with check sums that fit."""
        super().write(rng)
        if rng.random() < 0.5:
            self.file.write_bytes(with_check_sums(self.file.read_bytes()))

    def seeds(self) -> list[bytes]:
        """Sound files."""
        colour = Image.fromarray(picture(40, 56))
        grey = colour.convert('L')
        deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 200)
        return [encode(image, 'PNG') for image in (
            colour, Image.fromarray(picture(40, 56, 4)), grey, grey.convert('1'), deep,
            grey.convert('LA'), colour.convert('P'))]
