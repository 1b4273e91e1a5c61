from functools import partial

import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image
from scipy.io import savemat

from mmseg_instbox.datasets.voc_layout import write_list

TOOL = 'dataset_converters/pascal_context.py'
CLASSES = DATASETS.get('PascalContextDataset').METAINFO['classes']
LISTS = dict(train=['2008_000002', '2008_000003'], val=['2008_000007'])
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')]


def labels_text():
    """459 names: those of mmseg among others, spread and out of their order, some with blanks."""
    names = [f'other thing {i}' for i in range(459)]
    for index, name in enumerate(CLASSES[1:]):
        names[457 - 7 * index] = name.replace('tvmonitor', 'tv monitor')
    return ''.join(f'{number}: {name}\n' for number, name in enumerate(names, 1)), names


@pytest.fixture
def sources(tmp_path):
    """PASCAL Context's files and VOC's: a matrix ``LabelMap`` of doubles a file."""
    context, voc = tmp_path / 'context', tmp_path / 'VOC2010'
    (context / 'trainval').mkdir(parents=True)
    (context / 'labels.txt').write_text(labels_text()[0])
    (voc / 'JPEGImages').mkdir(parents=True)
    for split, names in LISTS.items():
        write_list(voc / 'ImageSets' / 'Main' / f'{split}.txt', names)
        for name in names:
            savemat(context / 'trainval' / f'{name}.mat', dict(LabelMap=label_map(name)))
            Image.new('RGB', (27, 17)).save(voc / 'JPEGImages' / f'{name}.jpg')
    return context, voc


def label_map(name):
    """All labels, 1 to 459."""
    return np.roll(np.arange(1, 460), int(name)).reshape(17, 27).astype(float)


@pytest.fixture
def main(run_main):
    """A function that runs the tool in this process."""
    return partial(run_main, TOOL, '--workers', 1)


def test_masks_and_lists_are_those_that_mmseg_reads(sources, run_tool):
    context, voc = sources
    done = run_tool(TOOL, context, voc, '--workers', 2)
    assert done.returncode == 0, done.stdout[-3000:]
    assert 'masks written' in done.stdout and 'train.txt: 2 images' in done.stdout
    _, names = labels_text()
    for split, images in LISTS.items():
        dataset = DATASETS.build(dict(
            type='PascalContextDataset', data_root=str(voc), pipeline=PIPELINE,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
            ann_file=f'ImageSets/SegmentationContext/{split}.txt'))
        assert len(dataset) == len(images)
        for index, image in enumerate(images):
            seg_map = dataset[index]['data_samples'].gt_sem_seg.data[0]
            for label, category in zip(label_map(image).ravel().astype(int), seg_map.ravel(),
                                       strict=True):
                name = names[label - 1].replace(' ', '')
                assert CLASSES[category] == (name if name in CLASSES else 'background')


def test_the_59_categories_of_mmseg_leave_background_out(sources, main):
    context, voc = sources
    main(context, voc)
    dataset = DATASETS.build(dict(
        type='PascalContextDataset59', data_root=str(voc), pipeline=[
            PIPELINE[0], dict(type='LoadAnnotations', reduce_zero_label=True), PIPELINE[2]],
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassContext'),
        ann_file='ImageSets/SegmentationContext/val.txt'))
    seg_map = dataset[0]['data_samples'].gt_sem_seg.data
    assert (seg_map == 255).sum() == 400 and sorted(seg_map[seg_map != 255]) == list(range(59))


def test_it_can_be_run_again(sources, main):
    main(*sources)
    before = {file: file.read_bytes() for file in sources[1].rglob('*') if file.is_file()}
    main(*sources)
    assert before == {file: file.read_bytes() for file in sources[1].rglob('*') if file.is_file()}


def no_mat(context, voc):
    (context / 'trainval' / '2008_000007.mat').unlink()


def other_variable(context, voc):
    savemat(context / 'trainval' / '2008_000007.mat', dict(Labels=label_map('0')))


def unknown_label(context, voc):
    savemat(context / 'trainval' / '2008_000007.mat', dict(LabelMap=label_map('0') + 1))


def other_size(context, voc):
    savemat(context / 'trainval' / '2008_000007.mat', dict(LabelMap=label_map('0')[1:]))


def no_image(context, voc):
    (voc / 'JPEGImages' / '2008_000007.jpg').unlink()


def no_labels(context, voc):
    (context / 'labels.txt').unlink()


def odd_line(context, voc):
    (context / 'labels.txt').write_text('aeroplane\n')


def few_labels(context, voc):
    (context / 'labels.txt').write_text('2: aeroplane\n')


@pytest.mark.parametrize('damage, message', [
    (no_mat, '2008_000007.mat: no such file'),
    (other_variable, '2008_000007.mat: holds no struct LabelMap'),
    (unknown_label, '2008_000007.mat: holds the labels 2 to 460'),
    (other_size, '2008_000007.mat: the mask is 27 x 16'),
    (no_image, '2008_000007.jpg: no such image'),
    (no_labels, 'labels.txt: no such file'),
    (odd_line, "labels.txt: the line 'aeroplane' is not"),
    (few_labels, "labels.txt: the labels ['bag', "),
])
def test_faulty_files_are_named_and_no_list_is_written(sources, main, damage, message):
    damage(*sources)
    with pytest.raises(SystemExit) as caught:
        main(*sources)
    assert message in str(caught.value)
    assert not (sources[1] / 'ImageSets' / 'SegmentationContext').exists()
