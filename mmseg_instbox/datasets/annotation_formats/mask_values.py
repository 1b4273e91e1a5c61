"""The values of masks, and the objects that have them."""
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import InstBoxError, InvalidInputError
from ...utils.foreign_errors import convert_errors, reason
from ...utils.image_header import open_image
from ...utils.run_lengths import Crop
from ..instance_maps import VOID, object_boxes
from ..voc_layout import voc_palette
from .annotated_images import Annotations, read_text

NAME_FILES = ('labelmap.txt', 'classes.txt', 'class_names.txt', 'labels.txt', 'obj.names')


def read_name_lines(root: Path) -> list[str]:
    """The lines of a text file in a folder that names categories; empty without such a file."""
    file = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    lines = read_text(file).splitlines() if file else []
    return [line.strip() for line in lines
            if line.strip() and line[0] != '#' and line.strip() != '__ignore__']


def read_values(path: Path, colours: Mapping[int, int] = {}) -> np.ndarray:
    """The values of a mask, an indexed, grey (1 to 32 bits) or RGB image: (H, W) int64.

    These are indices, with 0 for negative ones; of an RGB image that is not grey, without
    ``colours``, they are colours, ``red << 16 | green << 8 | blue``. Raises ValueError if it cannot
    be read or holds fractions.

    Args:
        path: The image.
        colours: The index that each colour stands for. They count in RGB images, and in indexed
            ones that have no other colours: programs that save an image again may change its
            indices. Another colour becomes ``-colour - 1``.
    """
    with convert_errors(f'{path}: the mask is broken'), open_image(path, str(path)) as image:
        if image.mode == 'F':
            raise InvalidInputError(f'{path}: the mask holds fractions, expected whole numbers.')
        if image.mode in ('RGB', 'RGBA'):
            rgb = np.asarray(image.convert('RGB'), dtype=np.int64)
            codes = rgb @ np.array([1 << 16, 1 << 8, 1])
            found, places = np.unique(codes, return_inverse=True)
            if not colours.keys() >= {*found.tolist()} and (rgb == rgb[..., :1]).all():
                return rgb[..., 0]
            indices = [colours.get(code, -code - 1) for code in found.tolist()]
            return np.array(indices)[places.reshape(codes.shape)] if colours else codes
        several = len(image.getbands()) > 1  # grey or indices, and transparency
        values = np.asarray(image.getchannel(0) if several else image).astype(np.int64).clip(0)
        palette = image.getpalette() if image.mode == 'P' else []
    codes = [colour_code(palette[i:i + 3]) for i in range(0, len(palette) - 2, 3)]
    used = np.bincount(values.ravel()).nonzero()[0].tolist() if codes else [0]
    if not all(index < len(codes) and codes[index] in colours for index in used):
        return values
    return np.array([colours.get(code, 0) for code in codes])[values]


def try_values(path: Path, source: str, image: str, part: Annotations,
               colours: Mapping[int, int] = {}) -> np.ndarray | None:
    """The values of a mask; None, and a problem, if it cannot be read."""
    try:
        return read_values(path, colours)
    except (InstBoxError, OSError) as error:
        part.report('unreadable mask', source, f'{reason(error)}; {image} is left out.')
        return None


def find_objects(ids: np.ndarray, keep_255: bool = False) -> Iterator[tuple[int, Crop]]:
    """The values of objects, which are neither 0 nor void, and their pixels."""
    void = () if keep_255 else (VOID, colour_code(voc_palette()[VOID]))
    for value, box in zip(*object_boxes(ids, void=0), strict=True):
        if value not in void:
            left, top, right, bottom = box.astype(int).tolist()
            yield int(value), Crop(ids[top:bottom, left:right] == value, left, top)


def colour_code(colour: Sequence[int]) -> int:
    """The value of a mask that a colour (3,) becomes."""
    return int(colour[0]) << 16 | int(colour[1]) << 8 | int(colour[2])
