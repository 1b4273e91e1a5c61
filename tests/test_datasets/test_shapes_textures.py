import numpy as np
import pytest

from mmseg_instbox.datasets.shapes_textures import PATTERNS, random_colour, random_texture


@pytest.mark.parametrize('pattern', PATTERNS)
@pytest.mark.parametrize('size', [16, 61])
def test_patterns_vary_between_zero_and_one(pattern, size):
    for seed in range(5):
        values = pattern(np.random.default_rng(seed), size)
        assert values.shape == (size, size)
        assert values.min() >= 0 and values.max() <= 1 and np.ptp(values) > 0.4


def test_a_texture_stays_near_its_colour():
    colour = np.array([200, 100, 50], np.float32)
    for seed in range(10):
        texture = random_texture(np.random.default_rng(seed), 40, colour, contrast=30)
        assert texture.shape == (40, 40, 3) and texture.dtype == np.float32
        assert np.abs(texture - colour).max() <= 15 + 1e-3 and texture.std() > 1


def test_a_colour_keeps_its_distance_where_it_can():
    rng = np.random.default_rng(0)
    avoid = [np.array([255, 0, 0], np.float32)]
    gaps = [np.linalg.norm(random_colour(rng, (0.9, 1), (0.9, 1), avoid, 80) - avoid[0])
            for _ in range(50)]
    assert min(gaps) >= 80


def test_saturation_and_brightness_are_kept():
    rng = np.random.default_rng(0)
    for _ in range(20):
        colour = random_colour(rng, (0, 0.5), (0.2, 0.9), [], 0) / 255
        assert 0.2 - 1e-3 <= colour.max() <= 0.9 + 1e-3
        assert (colour.max() - colour.min()) / colour.max() <= 0.5 + 1e-3
