import numpy as np
import pytest
from scipy import ndimage

from mmseg_instbox.datasets import ShapesDataset, shapes_generator
from mmseg_instbox.datasets.instance_maps import check_objects
from mmseg_instbox.datasets.shapes_generator import (
    MAX_OBJECTS,
    MIN_PIXELS,
    PATTERNS,
    SHAPES,
    Shape,
    coverage,
    drop_hidden,
    generate_sample,
    outline,
    random_colour,
    random_texture,
    visible_map,
    void_border,
)


@pytest.fixture(scope='module')
def samples():
    return [generate_sample(seed=0, split=0, index=index) for index in range(80)]


def objects(inst_map):
    return sorted(set(np.unique(inst_map).tolist()) - {0, 255})


def test_the_data_set_names_the_shapes_in_their_order():
    assert ShapesDataset.METAINFO['classes'] == ('background', *SHAPES)
    assert ShapesDataset.METAINFO['thing_classes'] == SHAPES
    assert len(ShapesDataset.METAINFO['palette']) == len(SHAPES) + 1


def test_the_same_arguments_give_the_same_image_and_others_another():
    first, again = generate_sample(3, 1, 7), generate_sample(3, 1, 7)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for arguments in ((4, 1, 7), (3, 0, 7), (3, 1, 8)):
        assert not np.array_equal(first[0], generate_sample(*arguments)[0])


@pytest.mark.parametrize('size', [64, 160, 200])
def test_image_and_masks_have_the_size_asked_for(size):
    image, seg_map, inst_map = generate_sample(0, 0, 0, size)
    assert image.shape == (size, size, 3)
    assert seg_map.shape == inst_map.shape == (size, size)
    assert {array.dtype for array in (image, seg_map, inst_map)} == {np.dtype(np.uint8)}


def test_each_object_has_one_category_and_enough_pixels(samples):
    for _, seg_map, inst_map in samples:
        check_objects(seg_map, inst_map, range(1, len(SHAPES) + 1), 'shapes')
        assert np.array_equal(seg_map == 255, inst_map == 255)
        assert np.array_equal(seg_map == 0, inst_map == 0)
        ids = objects(inst_map)
        assert ids == list(range(1, len(ids) + 1)) and 1 <= len(ids) <= MAX_OBJECTS
        assert min((inst_map == number).sum() for number in ids) >= MIN_PIXELS


def test_void_lies_between_objects_and_around_them(samples):
    for _, _, inst_map in samples:
        for one, other in ((inst_map[:, 1:], inst_map[:, :-1]), (inst_map[1:], inst_map[:-1])):
            assert ((one == other) | (one == 255) | (other == 255)).all()


def test_the_void_border_is_two_pixels_wide():
    inst_map = np.zeros((9, 12), np.uint8)
    inst_map[:, 4:8], inst_map[:, 8:] = 1, 2
    assert [np.flatnonzero(row).tolist() for row in void_border(inst_map)] == [[3, 4, 7, 8]] * 9


def test_all_counts_categories_and_sizes_occur(samples):
    counts = {len(objects(inst_map)) for *_, inst_map in samples}
    categories = {int(value) for _, seg_map, _ in samples for value in np.unique(seg_map)}
    widths = [slices[1].stop - slices[1].start for *_, inst_map in samples
              for slices in ndimage.find_objects(np.where(inst_map == 255, 0, inst_map)) if slices]
    assert counts == set(range(1, MAX_OBJECTS + 1))
    assert categories == {*range(len(SHAPES) + 1), 255}
    assert min(widths) < 20 and max(widths) > 70


def test_many_objects_touch_another_of_their_category(samples):
    """Nothing but their void borders parts them: they lie at most three pixels apart."""
    total = touching = 0
    for _, seg_map, inst_map in samples:
        for number in objects(inst_map):
            mask = inst_map == number
            near = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=3) & ~mask
            alike = seg_map == seg_map[mask][0]
            total += 1
            touching += bool((near & alike & ~mask).any())
    assert touching > 0.4 * total


def test_objects_stand_out_from_what_surrounds_them(samples):
    contrasts = []
    for image, _, inst_map in samples:
        for number in objects(inst_map):
            mask = inst_map == number
            around = ndimage.binary_dilation(mask, iterations=6) & (inst_map == 0)
            if around.any():
                difference = image[mask].mean(0) - image[around].mean(0)
                contrasts.append(np.linalg.norm(difference))
    assert np.quantile(contrasts, 0.05) > 40


def disc(x, y, radius):
    return Shape(category=1, x=x, y=y, radius=radius, angle=0.3, squeeze=1.0)


def test_coverage_is_the_area_of_the_form():
    alpha = coverage(disc(50.3, 40.9, 20), 100)
    assert alpha.sum() == pytest.approx(np.pi * 400, rel=0.01)
    y, x = np.mgrid[:100, :100] + 0.5
    assert (x * alpha).sum() / alpha.sum() == pytest.approx(50.3, abs=0.1)
    assert (y * alpha).sum() / alpha.sum() == pytest.approx(40.9, abs=0.1)


@pytest.mark.parametrize('category', range(1, len(SHAPES) + 1))
def test_forms_lie_in_their_circle_and_edges_are_smooth(category):
    shape = Shape(category, 50, 50, radius=40, angle=1.0, squeeze=0.8)
    for points in outline(shape):
        assert np.hypot(*(points - 50).T).max() <= 40 + 1e-6
    alpha = coverage(shape, 100)
    assert ((alpha > 0) & (alpha < 1)).sum() > 50
    assert (alpha[50, 50] == 0) == (SHAPES[category - 1] == 'ring')


def test_the_last_shape_is_the_nearest():
    alphas = [coverage(disc(50, 50, 20), 100), coverage(disc(60, 50, 20), 100)]
    assert visible_map(alphas, 100)[50, [35, 55, 75]].tolist() == [1, 2, 2]


def test_hidden_shapes_are_dropped_and_what_they_hid_is_kept():
    bottom, middle, top = disc(50, 50, 10), disc(50, 50, 11), disc(50, 50, 30)
    assert drop_hidden([bottom, middle, top], 100)[0] == [top]
    hidden, hider, far = disc(20, 20, 10), disc(22, 20, 12), disc(70, 70, 10)
    kept, alphas = drop_hidden([hidden, far, hider], 100)
    assert kept == [far, hider] and len(alphas) == 2


def test_a_shape_that_a_dropped_one_hid_is_kept(monkeypatch):
    """Both lower ones show too little at first; without the worse one the other shows enough."""
    monkeypatch.setattr(shapes_generator, 'MIN_VISIBLE', 0.35)
    lowest, middle, top = disc(36, 50, 14), disc(44, 50, 16), disc(50, 50, 18)
    alphas = [coverage(shape, 100) for shape in (lowest, middle, top)]
    seen = np.bincount(visible_map(alphas, 100).ravel())[1:]
    shares = seen / [(alpha > 0.5).sum() for alpha in alphas]
    assert shares[1] < shares[0] < 0.35
    assert drop_hidden([lowest, middle, top], 100)[0] == [lowest, top]


def test_textures_differ_between_objects(monkeypatch):
    image, _, inst_map = generate_sample(0, 0, 1)
    colours = [image[inst_map == number].mean(0) for number in objects(inst_map)]
    assert len(colours) > 1
    assert min(np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i]) > 20
    assert shapes_generator.LARGEST * 160 == pytest.approx(100, abs=2)


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
