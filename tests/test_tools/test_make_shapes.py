from functools import partial

import numpy as np
import pytest
from PIL import Image

from mmseg_instbox.datasets import ShapesDataset
from mmseg_instbox.datasets.shapes_generator import generate_sample

TOOL = 'dataset_converters/make_shapes.py'
PIPELINE = [dict(type=name) for name in ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs')]


def names(root, split):
    return (root / 'ImageSets' / 'Segmentation' / f'{split}.txt').read_text().split()


@pytest.fixture(scope='module')
def made(run_tool, tmp_path_factory):
    root = tmp_path_factory.mktemp('made') / 'shapes'
    done = run_tool(TOOL, '--out', root, '--num-train', 20, '--num-val', 5, '--size', 96,
                    '--workers', 2)
    assert done.returncode == 0, done.stdout[-3000:]
    assert 'images' in done.stdout and '100%' in done.stdout
    return root


def test_every_listed_image_loads(made):
    for split, count in (('train', 20), ('val', 5)):
        dataset = ShapesDataset(data_root=str(made), pipeline=PIPELINE,
                                ann_file=f'ImageSets/Segmentation/{split}.txt')
        assert len(dataset) == count
        for index in range(count):
            assert len(dataset[index]['data_samples'].gt_instances) > 0
            assert dataset[index]['inputs'].shape == (3, 96, 96)
    assert not set(names(made, 'train')) & set(names(made, 'val'))
    assert not (made / 'ImageSets' / 'Segmentation' / 'test.txt').exists()


def test_files_hold_what_the_generator_gives(made):
    image, seg_map, inst_map = generate_sample(seed=0, split=1, index=3, size=96)
    name = names(made, 'val')[3]
    stored = [Image.open(made / folder / f'{name}.png')
              for folder in ('SegmentationClass', 'SegmentationObject')]
    assert [mask.mode for mask in stored] == ['P', 'P']
    assert np.array_equal(np.array(stored[0]), seg_map)
    assert np.array_equal(np.array(stored[1]), inst_map)
    jpeg = np.array(Image.open(made / 'JPEGImages' / f'{name}.jpg')).astype(int)
    assert np.abs(jpeg - image).mean() < 8


@pytest.fixture
def main(run_main):
    """A function that runs the tool in this process."""
    return partial(run_main, TOOL)


def test_a_smaller_run_gives_the_same_images_and_replaces_the_lists(made, main, tmp_path):
    root = tmp_path / 'shapes'
    for count in (3, 2):
        main('--out', root, '--num-train', count, '--num-val', 0, '--num-test', 1, '--size', 96,
             '--workers', 1)
    assert names(root, 'train') == names(made, 'train')[:2] and len(names(root, 'test')) == 1
    for name in names(root, 'train'):
        for file in (f'JPEGImages/{name}.jpg', f'SegmentationObject/{name}.png'):
            assert (root / file).read_bytes() == (made / file).read_bytes()


@pytest.mark.parametrize('arguments', [
    ('--num-train', -1), ('--num-train', 0, '--num-val', 0), ('--size', 8), ('--workers', 0)])
def test_senseless_arguments_are_refused(main, tmp_path, capsys, arguments):
    with pytest.raises(SystemExit, match='2'):
        main('--out', tmp_path / 'shapes', *arguments)
    assert arguments[0] in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'shapes').exists()


def test_the_lists_of_another_data_set_are_left_alone(main, voc_lists):
    with pytest.raises(SystemExit, match=r'train\.txt: lists 2007_000032'):
        main('--out', voc_lists, '--num-train', 1, '--num-val', 1)
    assert names(voc_lists, 'train') == ['2007_000032']


@pytest.fixture
def voc_lists(tmp_path):
    folder = tmp_path / 'ImageSets' / 'Segmentation'
    folder.mkdir(parents=True)
    (folder / 'train.txt').write_text('2007_000032\n')
    return tmp_path
