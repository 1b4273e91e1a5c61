"""Headers are looked at before pixels are unpacked."""
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmseg_instbox.datasets.annotation_formats.images import ImageFinder
from mmseg_instbox.datasets.transforms.loading import LoadInstImage, read_mask
from mmseg_instbox.errors import InvalidInputError, TooLargeError
from mmseg_instbox.utils.decoding import decode_image, pil_to_bgr
from mmseg_instbox.utils.image_header import check_tiff_size, open_image

EPS = (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(made) (w) file pop\n'
       b'showpage\n%%EOF\n')


def png_header(width, height):
    """A small file that says it is a large grey picture."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I',
                                                                        zlib.crc32(kind + data))
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0))
    rows = chunk(b'IDAT', zlib.compress(bytes(10**6)))
    return b'\x89PNG\r\n\x1a\n' + header + rows + chunk(b'IEND', b'')


def stored(image, kind='PNG'):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def read_everywhere(content, tmp_path):
    """The ways that lead to a picture or a mask."""
    file = tmp_path / 'x.png'
    file.write_bytes(content)
    return (lambda: decode_image(content, 'x.png'),
            lambda: LoadInstImage()(dict(img_path=str(file))),
            lambda: read_mask(str(file), 'category mask'))


@pytest.mark.parametrize('size', [(20_000, 7_501), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize('way', range(3))
def test_a_bomb_is_refused_by_its_header(size, way, tmp_path):
    with pytest.raises(TooLargeError, match=r'x\.png: the image has .*INSTBOX_MAX_PIXELS='):
        read_everywhere(png_header(*size), tmp_path)[way]()


@pytest.mark.parametrize('way', range(3))
def test_the_limit_is_the_users(way, tmp_path, monkeypatch):
    content = stored(Image.new('L', (30, 20)))
    monkeypatch.setenv('INSTBOX_MAX_PIXELS', '599')
    with pytest.raises(TooLargeError, match='INSTBOX_MAX_PIXELS=600'):
        read_everywhere(content, tmp_path)[way]()
    monkeypatch.setenv('INSTBOX_MAX_PIXELS', '600')
    read_everywhere(content, tmp_path)[way]()


def test_a_raised_limit_also_passes_pillows_own(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(TooLargeError):
        open_image(png_header(20_000, 20_000), 'x.png')
    monkeypatch.setenv('INSTBOX_MAX_PIXELS', '400000000')
    assert open_image(png_header(20_000, 20_000), 'x.png').size == (20_000, 20_000)


def test_a_picture_in_memory_is_measured_too(monkeypatch):
    monkeypatch.setenv('INSTBOX_MAX_PIXELS', '10')
    with pytest.raises(TooLargeError, match='image 0'):
        pil_to_bgr(Image.new('RGB', (4, 4)), 'image 0')


@pytest.mark.parametrize('way', range(3))
def test_formats_that_start_other_programs_are_refused(way, tmp_path):
    assert Image.open(io.BytesIO(EPS)).format == 'EPS'  # Pillow would hand it to Ghostscript
    with pytest.raises(InvalidInputError, match='unknown format'):
        read_everywhere(EPS, tmp_path)[way]()


def test_a_tiff_is_measured_without_pillow(monkeypatch):
    content = stored(Image.new('L', (30, 20)), 'TIFF')
    check_tiff_size(content, 'x.tif')
    monkeypatch.setenv('INSTBOX_MAX_PIXELS', '599')
    with pytest.raises(TooLargeError, match=r'x\.tif'):
        check_tiff_size(content, 'x.tif')
    with pytest.raises(InvalidInputError, match=r'x\.tif: not a TIFF image'):
        check_tiff_size(b'II*\x00 and no more', 'x.tif')


def test_sixteen_bits_are_refused_where_they_would_be_cut_off(tmp_path):
    file = tmp_path / 'deep.png'
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(file)
    with pytest.raises(InvalidInputError, match=r'deep\.png: .*more than 8 bits'):
        LoadInstImage(color_type='grayscale')(dict(img_path=str(file)))


def test_a_mask_of_fractions_is_refused(tmp_path):
    file = tmp_path / 'mask.tif'
    Image.fromarray(np.full((4, 4), 1.5, np.float32)).save(file)
    with pytest.raises(InvalidInputError, match=r'mask\.tif: the category mask .* whole numbers'):
        read_mask(str(file), 'category mask')


def exif(*entries):
    """EXIF data of entries: tag, type, count and four bytes."""
    rows = b''.join(struct.pack('<HHI4s', *each) for each in entries)
    return (b'Exif\0\0II*\0' + struct.pack('<IH', 8, len(entries)) + rows + bytes(4))


TURNED = (0x112, 3, 1, b'\x06\0\0\0')


@pytest.mark.parametrize(('kind', 'data', 'shape'), [
    ('PNG', b'no EXIF data', (20, 30, 3)),
    ('WEBP', b'no EXIF data', (20, 30, 3)),
    ('JPEG', exif(TURNED, (0x100, 2, 4, b'640\0')), (30, 20, 3)),  # a width that is text
    ('JPEG', exif(TURNED, (0x13b, 11, 1, b'\0\0\x80?')), (30, 20, 3))])  # an artist, a number
def test_an_image_with_broken_exif_data_is_read_everywhere(kind, data, shape, tmp_path):
    """Cameras and programs write such data; Pillow fails at it when it reads or turns the image."""
    file = tmp_path / 'photo.img'
    Image.new('RGB', (30, 20), 'red').save(file, kind, exif=data)
    assert decode_image(file.read_bytes(), 'photo').shape == shape
    assert LoadInstImage()(dict(img_path=str(file)))['img'].shape == shape
    assert ImageFinder(tmp_path).info(file.name)[:2] == shape[1::-1]
