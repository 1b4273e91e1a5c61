import shutil
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mmseg_instbox.datasets import VOCInstDataset
from mmseg_instbox.datasets.voc_layout import write_list, write_mask

TOOL = 'dataset_converters/sbd.py'
PIPELINE = [dict(type=name) for name in ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs')]
SBD_LISTS = dict(train=['2008_000001', '2008_000002', '2007_000003'], val=['2008_000004'])
VOC_LISTS = dict(train=['2007_000003', '2007_000005'], val=['2008_000004'])


def maps(seed):
    """Two objects of the categories 15 and 7 that touch."""
    inst_map = np.zeros((20, 30), np.uint8)
    inst_map[3:9, 2:10 + seed], inst_map[9:15, 5:20] = 1, 2
    return np.array([0, 15, 7], np.uint8)[inst_map], inst_map


def write_mat(sbd, name, seg_map, inst_map, categories):
    """The files of SBD: structs with sparse boundaries, categories as a column of doubles."""
    bounds = np.empty((len(categories), 1), object)
    bounds[:] = [[np.zeros((2, 2))] for _ in categories]
    column = np.array(categories, float).reshape(-1, 1)
    for folder, struct in (
        ('inst', dict(GTinst=dict(Segmentation=inst_map, Boundaries=bounds, Categories=column))),
        ('cls', dict(GTcls=dict(Segmentation=seg_map, Boundaries=bounds,
                                CategoriesPresent=column)))):
        (sbd / folder).mkdir(exist_ok=True, parents=True)
        savemat(sbd / folder / f'{name}.mat', struct, do_compression=True)


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    """SBD with four images and VOC with three; two images are in both."""
    root = tmp_path_factory.mktemp('sources')
    sbd, voc = root / 'sbd', root / 'VOC2012'
    for split, names in SBD_LISTS.items():
        for name in names:
            seg_map, inst_map = maps(int(name[-1]))
            write_mat(sbd, name, seg_map, inst_map, [15, 7])
        write_list(sbd / f'{split}.txt', names)
    for split, names in VOC_LISTS.items():
        write_list(voc / 'ImageSets' / 'Segmentation' / f'{split}.txt', names)
        for name in names:
            inst_map = np.full((20, 30), 255, np.uint8)
            inst_map[5:9, 5:9] = 1
            write_mask(voc / 'SegmentationObject' / f'{name}.png', inst_map)
            write_mask(voc / 'SegmentationClass' / f'{name}.png',
                       np.where(inst_map == 1, 3, inst_map).astype(np.uint8))
    for name in {*sum(SBD_LISTS.values(), []), *sum(VOC_LISTS.values(), [])}:
        (voc / 'JPEGImages').mkdir(exist_ok=True)
        Image.new('RGB', (30, 20)).save(voc / 'JPEGImages' / f'{name}.jpg')
    seg_map, inst_map = maps(2)
    seg_map[3, 2:6], seg_map[0, 0] = 0, 9  # four pixels without category, one without object
    write_mat(sbd, '2008_000002', seg_map, inst_map, [15, 7])
    return root


@pytest.fixture(scope='module')
def converted(sources, run_tool):
    done = run_tool(TOOL, sources / 'sbd', sources / 'VOC2012', '--workers', 2)
    assert done.returncode == 0, done.stdout[-3000:]
    assert 'trainaug.txt: 4 images, 2 of them from SBD. In 1 of these, 5 pixels' in done.stdout
    assert 'the usual list has 10582 images' in done.stdout
    return sources / 'VOC2012'


@pytest.fixture
def main(run_main):
    """A function that runs the tool in this process."""
    return partial(run_main, TOOL, '--workers', 1)


def read(root, folder, name):
    return np.array(Image.open(root / folder / f'{name}.png'))


def test_the_list_is_both_without_the_images_for_validation(converted):
    names = (converted / 'ImageSets' / 'Segmentation' / 'trainaug.txt').read_text().split()
    assert names == ['2007_000003', '2007_000005', '2008_000001', '2008_000002']


def test_masks_of_sbd_are_those_of_the_matlab_files(converted):
    seg_map, inst_map = maps(1)
    assert np.array_equal(read(converted, 'SegmentationClassAug', '2008_000001'), seg_map)
    assert np.array_equal(read(converted, 'SegmentationObjectAug', '2008_000001'), inst_map)


@pytest.mark.parametrize('name', ['2007_000003', '2007_000005', '2008_000004'])
def test_masks_of_voc_win_over_those_of_sbd(converted, name):
    for folder in ('SegmentationClass', 'SegmentationObject'):
        assert np.array_equal(read(converted, f'{folder}Aug', name), read(converted, folder, name))


def test_pixels_with_two_categories_are_void_in_the_instance_mask(converted):
    seg_map, inst_map = maps(2)
    seg_map[3, 2:6], seg_map[0, 0] = 0, 9
    inst_map[3, 2:6] = inst_map[0, 0] = 255
    assert np.array_equal(read(converted, 'SegmentationClassAug', '2008_000002'), seg_map)
    assert np.array_equal(read(converted, 'SegmentationObjectAug', '2008_000002'), inst_map)


def test_objects_of_sbd_in_the_val_images_of_voc(converted):
    assert (converted / 'ImageSets/Segmentation/val_sbd.txt').read_text() == '2008_000004\n'
    for folder, expected in zip(('SegmentationClass', 'SegmentationObject'), maps(4), strict=True):
        assert np.array_equal(read(converted, f'{folder}SBD', '2008_000004'), expected)
        assert len(list((converted / f'{folder}SBD').iterdir())) == 1


def test_the_data_set_reads_the_result(converted):
    dataset = VOCInstDataset(
        data_root=str(converted), ann_file='ImageSets/Segmentation/trainaug.txt',
        pipeline=PIPELINE, data_prefix=dict(
            img_path='JPEGImages', seg_map_path='SegmentationClassAug',
            inst_map_path='SegmentationObjectAug'))
    labels = [dataset[i]['data_samples'].gt_instances.labels.tolist() for i in range(4)]
    assert labels == [[2], [2], [14, 6], [14, 6]]


def test_it_can_be_run_again(converted, sources, main):
    before = {file: file.read_bytes() for file in converted.rglob('*') if file.is_file()}
    main(sources / 'sbd', converted)
    assert before == {file: file.read_bytes() for file in converted.rglob('*') if file.is_file()}


def no_inst(root):
    (root / 'sbd' / 'inst' / '2008_000001.mat').unlink()


def broken_cls(root):
    (root / 'sbd' / 'cls' / '2008_000001.mat').write_bytes(b'MATLAB')


def other_struct(root):
    savemat(root / 'sbd' / 'cls' / '2008_000001.mat', dict(GTother=1))


def too_few_categories(root):
    write_mat(root / 'sbd', '2008_000001', *maps(1), [15])


def unknown_category(root):
    write_mat(root / 'sbd', '2008_000001', *maps(1), [15, 21])


def unknown_class_index(root):
    write_mat(root / 'sbd', '2008_000001', maps(1)[0] + 20, maps(1)[1], [15, 7])


def other_size(root):
    write_mat(root / 'sbd', '2008_000001', *(mask[1:] for mask in maps(1)), [15, 7])


def no_image(root):
    (root / 'VOC2012' / 'JPEGImages' / '2008_000001.jpg').unlink()


def no_voc_mask(root):
    (root / 'VOC2012' / 'SegmentationObject' / '2007_000005.png').unlink()


@pytest.mark.parametrize('damage, message', [
    (no_inst, 'inst/2008_000001.mat: no such file'),
    (broken_cls, 'cls/2008_000001.mat: broken MATLAB file'),
    (other_struct, 'cls/2008_000001.mat: holds no struct GTcls'),
    (too_few_categories, 'inst/2008_000001.mat: object 2 has no category'),
    (unknown_category, r'inst/2008_000001.mat: the categories are [15, 21]'),
    (unknown_class_index, 'cls/2008_000001.mat: category'),
    (other_size, 'inst/2008_000001.mat: the mask is 30 x 19'),
    (no_image, 'JPEGImages/2008_000001.jpg: no such image'),
    (no_voc_mask, 'SegmentationObject/2007_000005.png: no such mask'),
])
def test_faulty_files_are_named_and_no_list_is_written(sources, main, tmp_path, damage, message):
    root = tmp_path / 'copy'
    shutil.copytree(sources, root)
    (root / 'VOC2012' / 'ImageSets' / 'Segmentation' / 'trainaug.txt').unlink(missing_ok=True)
    damage(root)
    with pytest.raises(SystemExit) as caught:
        main(root / 'sbd', root / 'VOC2012')
    assert message in str(caught.value)
    assert not (root / 'VOC2012' / 'ImageSets' / 'Segmentation' / 'trainaug.txt').exists()
