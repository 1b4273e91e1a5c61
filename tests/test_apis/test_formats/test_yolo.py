"""supervision reads what the YOLO writer writes."""
import numpy as np
import pytest
import yaml
from PIL import Image

from mmseg_instbox.apis.formats import YoloWriter


def read_yolo(folder):
    """Class names, and the annotations of each image, by its name."""
    sv = pytest.importorskip('supervision')
    dataset = sv.DetectionDataset.from_yolo(
        str(folder / 'images'), str(folder / 'labels'), str(folder / 'data.yaml'),
        force_masks=True)
    return dataset.classes, {path: found for path, _, found in dataset}


@pytest.fixture
def written(tmp_path, sample, make_sample, meta):
    (tmp_path / 'images').mkdir()
    for name in ('a scene', 'empty'):
        Image.new('RGB', (80, 60)).save(tmp_path / 'images' / f'{name}.png')
    with YoloWriter(tmp_path, meta) as writer:
        writer.add(sample, 'a scene')
        writer.add(make_sample(np.zeros((0, 60, 80)), [], []), 'empty')
    return tmp_path


@pytest.fixture
def lines(tmp_path, meta):
    """A function that gives the lines of a sample from a score on."""
    def lines(sample, score_thr: float = 0.) -> list[str]:
        YoloWriter(tmp_path, meta, score_thr).add(sample, 'lines')
        return (tmp_path / 'labels' / 'lines.txt').read_text().splitlines()
    return lines


def test_supervision_reads_the_masks(written, masks):
    classes, images = read_yolo(written)
    found = images[str(written / 'images' / 'a scene.png')]
    assert classes == ['dog', 'cat'] and found.class_id.tolist() == [0, 1, 0, 1]
    for i in (0, 2, 3):
        assert np.array_equal(found.mask[i], masks[i])
    assert len(images[str(written / 'images' / 'empty.png')]) == 0


def test_two_parts_are_joined_by_a_line(written, masks):
    _, images = read_yolo(written)
    mask = images[str(written / 'images' / 'a scene.png')].mask[1]
    assert mask[masks[1]].all() and (mask & ~masks[1]).sum() == 4  # columns 30 to 33


def test_readers_that_cut_off_get_the_same_pixels(sample, masks, lines):
    """Ultralytics multiplies by the size and cuts off; supervision rounds."""
    for line, mask in zip(lines(sample), masks, strict=True):
        points = np.array(line.split()[1:], np.float32).reshape(-1, 2) * np.float32([80, 60])
        assert np.array_equal(points.astype(int), np.round(points).astype(int))
        assert mask[tuple(points.astype(int)[[0, -1]].T[::-1])].all()


def test_large_images_keep_their_pixels(make_sample, lines):
    mask = np.zeros((1, 7001, 9001), bool)
    mask[0, 6990:, 8900:] = True
    (line, ) = lines(make_sample(mask, [1], [.5]))
    points = np.array(line.split()[1:], np.float32).reshape(-1, 2) * np.float32([9001, 7001])
    assert points.astype(int).tolist() == np.round(points).tolist()
    assert {tuple(each) for each in points.astype(int).tolist()} == {
        (8900, 6990), (9000, 6990), (9000, 7000), (8900, 7000)}


def test_coordinates_are_fractions(sample, lines):
    for line in lines(sample):
        label, *values = line.split()
        assert label in '01' and len(values) >= 6 and len(values) % 2 == 0
        assert all(0 <= float(value) < 1 for value in values)


def test_data_yaml_names_the_categories(written):
    content = yaml.safe_load((written / 'data.yaml').read_text(encoding='utf-8'))
    assert content == dict(train='images', val='images', names={0: 'dog', 1: 'cat'})


def test_names_that_yaml_would_misread(tmp_path, make_sample):
    names = ('no', 'traffic: light', '12', 'Äpfel')
    with YoloWriter(tmp_path, dict(classes=names, thing_classes=names)) as writer:
        writer.add(make_sample(np.zeros((0, 4, 4)), [], []), 'x')
    content = yaml.safe_load((tmp_path / 'data.yaml').read_text(encoding='utf-8'))
    assert tuple(content['names'].values()) == names


def test_low_scores_are_left_out(sample, lines):
    assert len(lines(sample, .85)) == 1
