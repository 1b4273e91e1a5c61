"""Generate images of textured shapes that touch and overlap, with exact masks."""
import colorsys
import math
from dataclasses import dataclass

import cv2
import numpy as np

from .instance_maps import VOID

# In the order of ShapesDataset's categories 1 to 6; the smallest diameter of each as a fraction of
# the image's side, so that a hole or a point survives the void border.
SMALLEST = dict(disc=0.2, square=0.2, triangle=0.22, star=0.26, ring=0.26, cross=0.25)
SHAPES = tuple(SMALLEST)
LARGEST = 0.62
MAX_OBJECTS = 8
OVERSAMPLING = 4
MIN_VISIBLE = 0.5  # of the object's area in the image
MIN_PIXELS = 24  # that remain inside the void border


@dataclass
class Shape:
    """One object: ``category`` counts from 1; centre and radius of the circumscribed circle in
    pixels; ``angle`` in radians; ``squeeze`` is the height over the width before turning."""
    category: int
    x: float
    y: float
    radius: float
    angle: float
    squeeze: float


def generate_sample(seed: int, split: int, index: int,
                    size: int = 160) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generate one image. The same arguments give the same image, whatever else is generated.

    ``split`` is a number, so that splits never share an image; ``size`` is the side in pixels.

    Returns:
        Image (size, size, 3) uint8 RGB; category map and instance map (size, size) uint8 with 0
        for background and 255 for the void border.
    """
    rng = np.random.default_rng([seed, split, index])
    kept: list[Shape] = []
    while not kept:
        kept, alphas = drop_hidden(random_shapes(rng, size), size)
    image = paint(rng, alphas, size)
    inst_map = visible_map(alphas, size)
    categories = np.array([0] + [shape.category for shape in kept], dtype=np.uint8)
    seg_map = categories[inst_map]
    border = void_border(inst_map)
    seg_map[border] = inst_map[border] = VOID
    return image, seg_map, inst_map


def random_shapes(rng: np.random.Generator, size: int) -> list[Shape]:
    """Draw 1 to 8 shapes, farthest first, most of one category and leaning on each other."""
    count, favourite = (int(rng.integers(1, most + 1)) for most in (MAX_OBJECTS, len(SHAPES)))
    largest = LARGEST / (1 + 0.1 * (count - 1))
    shapes: list[Shape] = []
    for _ in range(count):
        same = rng.random() < 0.7
        category = favourite if same else int(rng.integers(1, len(SHAPES) + 1))
        smallest = SMALLEST[SHAPES[category - 1]]
        radius = float(np.exp(rng.uniform(np.log(smallest), np.log(largest)))) * size / 2
        x, y = rng.uniform(0.1, 0.9, 2) * size
        alike = [other for other in shapes if other.category == category]
        if alike and rng.random() < 0.75:  # overlaps or touches another one
            other = alike[rng.integers(len(alike))]
            distance = (other.radius + radius) * rng.uniform(0.65, 0.95)
            angle = rng.uniform(0, 2 * np.pi)
            x, y = other.x + distance * np.cos(angle), other.y + distance * np.sin(angle)
        margin = 0.4 * radius
        x, y = (float(np.clip(value, margin, size - margin)) for value in (x, y))
        shapes.append(Shape(category, x, y, radius, angle=float(rng.uniform(0, 2 * np.pi)),
                            squeeze=float(rng.uniform(0.8, 1.0))))
    return shapes


def outline(shape: Shape) -> list[np.ndarray]:
    """Outlines of a shape in pixels, arrays (P, 2) of x, y; a second outline is a hole."""
    cos, sin = np.cos(shape.angle), np.sin(shape.angle)
    turn = np.array([[cos, sin], [-sin, cos]]) * [[1.0], [shape.squeeze]]
    return [points @ turn * shape.radius + [shape.x, shape.y]
            for points in UNIT_OUTLINES[SHAPES[shape.category - 1]]]


def coverage(shape: Shape, size: int) -> np.ndarray:
    """How much of each pixel the shape covers: (size, size) float32, 0 to 1."""
    fine = np.zeros((size * OVERSAMPLING,) * 2, dtype=np.uint8)
    # fillPoly puts integer coordinates on pixel centres.
    polygons = [np.rint(p * OVERSAMPLING - 0.5).astype(np.int32) for p in outline(shape)]
    cv2.fillPoly(fine, polygons, 255)
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def visible_map(alphas: list[np.ndarray], size: int) -> np.ndarray:
    """Number (from 1) of the nearest shape at each pixel: (size, size) uint8, 0 where none is."""
    inst_map = np.zeros((size, size), dtype=np.uint8)
    for number, alpha in enumerate(alphas, start=1):
        inst_map[alpha > 0.5] = number
    return inst_map


def void_border(inst_map: np.ndarray) -> np.ndarray:
    """Pixels on both sides of each object's border: (H, W) bool, two pixels wide."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cv2.dilate(inst_map, cross) != cv2.erode(inst_map, cross)


def drop_hidden(shapes: list[Shape], size: int) -> tuple[list[Shape], list[np.ndarray]]:
    """Leave out shapes of which too little can be seen, the worst first, one at a time: it may
    uncover another. Returns the shapes that remain, and the :func:`coverage` of each."""
    shapes, alphas = list(shapes), [coverage(shape, size) for shape in shapes]
    while shapes:
        seen = visible_map(alphas, size)
        inner = np.bincount(seen[~void_border(seen)], minlength=len(shapes) + 1)[1:]
        area = np.array([max(int((alpha > 0.5).sum()), 1) for alpha in alphas])
        share = np.bincount(seen.ravel(), minlength=len(shapes) + 1)[1:] / area
        share[inner < MIN_PIXELS] = 0
        worst = int(share.argmin())
        if share[worst] >= MIN_VISIBLE:
            break
        del shapes[worst], alphas[worst]
    return shapes, alphas


def paint(rng: np.random.Generator, alphas: list[np.ndarray], size: int) -> np.ndarray:
    """Paint the shapes over a textured background: (size, size, 3) uint8 RGB."""
    colours = [random_colour(rng, (0.0, 0.5), (0.2, 0.9), [], 0)]
    image = random_texture(rng, size, colours[0], contrast=rng.uniform(15, 45))
    for alpha in alphas:
        colours.append(random_colour(rng, (0.3, 1.0), (0.3, 1.0), colours, distance=80))
        x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
        area = slice(y, y + height), slice(x, x + width)
        texture = random_texture(rng, max(width, height), colours[-1], rng.uniform(25, 75))
        image[area] += (texture[:height, :width] - image[area]) * alpha[area][..., None]
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(1, 6))
    return np.clip(image, 0, 255).astype(np.uint8)


def _polygon(corners: int, radii: tuple[float, ...] = (1.0,)) -> np.ndarray:
    """Corners (P, 2) around the unit circle, the first edge upright, their radii in turn."""
    angles = (np.arange(corners) - 0.5) * 2 * np.pi / corners
    scale = np.resize(radii, corners)
    return np.stack([np.cos(angles) * scale, np.sin(angles) * scale], axis=1)


def _cross() -> np.ndarray:
    """Corners (12, 2) of an upright cross in the unit circle."""
    a, b = 0.3, (1 - 0.3**2)**0.5
    quarter = np.array([[b, -a], [b, a], [a, a]])
    turns = [np.array([[c, s], [-s, c]]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    return np.concatenate([quarter @ turn for turn in turns])


UNIT_OUTLINES = dict(
    disc=[_polygon(64)],
    square=[_polygon(4)],
    triangle=[_polygon(3)],
    star=[_polygon(10, (1.0, 0.42))],
    ring=[_polygon(64), _polygon(64) * 0.5],
    cross=[_cross()])


def random_colour(rng: np.random.Generator, saturation: tuple[float, float],
                  value: tuple[float, float], avoid: list[np.ndarray],
                  distance: float) -> np.ndarray:
    """Draw a colour (3,) float32, 0 to 255, that differs visibly from others.

    ``saturation`` and ``value`` are ranges in 0 to 1. Among 12 draws the first that is ``distance``
    RGB units away from all colours in ``avoid`` is taken, else the one that comes closest to it.
    """
    best, best_gap = None, -1.0
    for _ in range(12):
        hsv = rng.random(), rng.uniform(*saturation), rng.uniform(*value)
        colour = np.array(colorsys.hsv_to_rgb(*hsv), dtype=np.float32) * 255
        gap = min((float(np.linalg.norm(colour - other)) for other in avoid), default=np.inf)
        if gap > best_gap:
            best, best_gap = colour, gap
        if gap >= distance:
            break
    return best


def random_texture(rng: np.random.Generator, size: int, colour: np.ndarray,
                   contrast: float) -> np.ndarray:
    """Paint a square (size, size, 3) float32 with one of four patterns in two shades of a colour,
    0 to 255, that differ by ``contrast``."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))](rng, size)
    sign = -1.0 if rng.random() < 0.5 else 1.0
    tint = rng.uniform(0.6, 1.0, 3).astype(np.float32) * (contrast * sign)
    return colour + (pattern[..., None] - np.float32(0.5)) * tint


def _axes(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates turned by a random angle, two arrays (size, size)."""
    angle = rng.uniform(0, math.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    cos, sin = math.cos(angle), math.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    wave = np.sin(_axes(rng, size)[0] * (2 * math.pi / rng.uniform(5, 12)) + rng.uniform(0, 6))
    return np.clip(wave * 1.5, -1, 1) / 2 + 0.5


def _dots(rng: np.random.Generator, size: int) -> np.ndarray:
    axes = _axes(rng, size)
    along, across = np.cos(np.stack(axes) * (2 * math.pi / rng.uniform(6, 12)))
    return np.clip((along + across) * 1.5 - 0.5, 0, 1)


def _gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    along, _ = _axes(rng, size)
    return (along - along.min()) / np.ptp(along)


def _blotches(rng: np.random.Generator, size: int) -> np.ndarray:
    cells = int(rng.integers(size // 16 + 2, size // 6 + 3))
    coarse = rng.random((cells, cells), dtype=np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)


PATTERNS = (_stripes, _dots, _gradient, _blotches)
