import re

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_instbox.datasets import InstBoxDataset, inst_box_dataset

CLASSES = ('background', 'square', 'disc')
LISTS = 'ImageSets/Segmentation'
PIPELINE = [dict(type=name) for name in ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs')]


def build(root, **options):
    options = dict(metainfo=dict(classes=CLASSES), ann_file=f'{LISTS}/train.txt',
                   pipeline=PIPELINE) | options
    return InstBoxDataset(data_root=str(root), **options)


def rewrite(file, change):
    mask = np.array(Image.open(file))
    Image.fromarray(change(mask)).save(file)


def test_a_config_reaches_the_data_set(tiny_voc):
    dataset = DATASETS.build(dict(type='InstBoxDataset', data_root=str(tiny_voc),
                                  metainfo=dict(classes=CLASSES), ann_file=f'{LISTS}/val.txt'))
    assert len(dataset) == 4 and dataset.metainfo['thing_classes'] == ('square', 'disc')


def test_a_sample_says_where_everything_lies(tiny_voc):
    info = build(tiny_voc).get_data_info(2)
    assert info['img_path'] == str(tiny_voc / 'JPEGImages' / '002.jpg')
    assert info['seg_map_path'] == str(tiny_voc / 'SegmentationClass' / '002.png')
    assert info['inst_map_path'] == str(tiny_voc / 'SegmentationObject' / '002.png')
    assert info['num_classes'] == 3 and info['thing_ids'] == [1, 2]


def test_a_sample_holds_the_masks_and_boxes_of_the_files(tiny_voc):
    dataset = build(tiny_voc)
    for index in range(4):
        data = dataset[index]
        sample = data['data_samples']
        inst_map = np.array(Image.open(tiny_voc / 'SegmentationObject' / f'{index:03d}.png'))
        assert np.array_equal(sample.gt_inst_map.data[0].numpy(), inst_map)
        assert data['inputs'].shape == (3, 64, 64)
        assert sample.gt_instances.ids.tolist() == [1, 2, 3]
        assert sample.gt_instances.labels.tolist() == [0, 0, 1]
        rows, columns = np.nonzero(inst_map == 2)
        assert sample.gt_instances.bboxes[1].tolist() == [
            columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_without_a_list_all_images_of_the_folder_are_taken(tiny_voc):
    dataset = build(tiny_voc, ann_file='')
    assert len(dataset) == 8
    assert dataset.get_data_info(7)['inst_map_path'].endswith('SegmentationObject/007.png')


def test_images_without_annotations_are_packed_alone(tiny_voc):
    dataset = build(tiny_voc, data_prefix=dict(img_path='JPEGImages'), test_mode=True)
    sample = dataset[0]['data_samples']
    assert not any(name in sample for name in ('gt_sem_seg', 'gt_inst_map', 'gt_instances'))


def test_thing_classes_may_be_named(tiny_voc):
    metainfo = dict(classes=CLASSES, thing_classes=('disc', 'square'))
    dataset = build(tiny_voc, metainfo=metainfo)
    assert dataset.thing_ids == [2, 1]
    assert dataset[0]['data_samples'].gt_instances.labels.tolist() == [1, 1, 0]


def test_a_category_left_out_makes_its_objects_void(tiny_voc):

    class Known(InstBoxDataset):
        METAINFO = dict(classes=CLASSES, palette=[[0] * 3] * 3, thing_classes=CLASSES[1:])

    dataset = Known(data_root=str(tiny_voc), ann_file=f'{LISTS}/train.txt', pipeline=PIPELINE,
                    metainfo=dict(classes=('background', 'disc')))
    assert dataset.metainfo['thing_classes'] == ('disc',)
    sample = dataset[0]['data_samples']
    before = build(tiny_voc)[0]['data_samples']
    square = before.gt_sem_seg.data == 1
    assert sample.gt_instances.labels.tolist() == [0] and sample.gt_instances.ids.tolist() == [3]
    for name in ('gt_sem_seg', 'gt_inst_map'):
        assert bool((sample.get(name).data[square] == 255).all())
    assert bool((sample.gt_inst_map.data != 255)[~square].all())


@pytest.mark.parametrize('options, error, message', [
    (dict(metainfo=None), ValueError, 'InstBoxDataset needs the names'),
    (dict(metainfo=dict(classes=CLASSES, thing_classes=('cat',))), ValueError, 'thing_classes'),
    (dict(metainfo=dict(classes=CLASSES, thing_classes=('disc', 'disc'))), ValueError, 'once'),
    (dict(metainfo=dict(classes=(*CLASSES, 'disc'))), ValueError, "'disc'. stand there more"),
    (dict(metainfo=dict(classes=(*CLASSES, 'Background'))), ValueError, 'name of its own'),
    (dict(on_error='ignore'), ValueError, "'ignore'.*'raise' or 'skip'"),
    (dict(ann_file='none.txt'), FileNotFoundError, 'none.txt: no such list'),
    (dict(data_prefix=dict(img_path='Nowhere')), FileNotFoundError, 'Nowhere: no such folder'),
    (dict(data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass')), ValueError,
     'give both'),
    (dict(data_prefix=dict()), ValueError, 'img_path'),
    (dict(img_suffix='.tif', ann_file=''), ValueError, 'no images are listed'),
    (dict(pipeline=[dict(type='Pad', size=(9, 9))]), ValueError, 'Pad cannot.*InstPad'),
])
def test_wrong_arguments_are_refused_when_the_data_set_is_built(tiny_voc, options, error, message):
    with pytest.raises(error, match=message):
        build(tiny_voc, **options)


def test_an_empty_list_is_an_error_and_blank_lines_are_not_images(voc_copy):
    file = voc_copy / LISTS / 'train.txt'
    file.write_text('001\n\n  \n002\r\n\n')
    assert [build(voc_copy).get_data_info(i)['img_path'][-7:] for i in range(2)
            ] == ['001.jpg', '002.jpg'] and len(build(voc_copy)) == 2
    file.write_text('\n')
    with pytest.raises(ValueError, match='train.txt: no images'):
        build(voc_copy)


def remove_image(root):
    (root / 'JPEGImages' / '001.jpg').unlink()


def truncate_image(root):
    file = root / 'JPEGImages' / '001.jpg'
    file.write_bytes(file.read_bytes()[:-400])


def no_image(root):
    (root / 'JPEGImages' / '001.jpg').write_text('no image')


def remove_mask(root):
    (root / 'SegmentationObject' / '001.png').unlink()


def shrink_mask(root):
    rewrite(root / 'SegmentationClass' / '001.png', lambda mask: mask[:-1])


def unknown_category(root):
    rewrite(root / 'SegmentationClass' / '001.png', lambda mask: np.where(mask == 2, 9, mask))


def object_on_background(root):
    rewrite(root / 'SegmentationClass' / '001.png',
            lambda mask: np.where(mask == 2, 0, mask).astype(np.uint8))


def two_categories(root):
    rewrite(root / 'SegmentationObject' / '001.png',
            lambda mask: np.where(mask == 3, 2, mask).astype(np.uint8))


FAULTS = [
    (remove_image, FileNotFoundError, r'JPEGImages/001\.jpg: no such image'),
    (truncate_image, ValueError, r'JPEGImages/001\.jpg: .*broken or truncated'),
    (no_image, ValueError, r'JPEGImages/001\.jpg: not an image that can be read'),
    (remove_mask, FileNotFoundError, r'SegmentationObject/001\.png: no such instance mask'),
    (shrink_mask, ValueError, r'SegmentationClass/001\.png: .*64 x 63.*its image is 64 x 64'),
    (unknown_category, ValueError, r'SegmentationClass/001\.png: .*\[9\]'),
    (object_on_background, ValueError, r'SegmentationObject/001\.png: object 3 lies on category 0'),
    (two_categories, ValueError, r'SegmentationObject/001\.png: object 2 covers .*\[1, 2\]'),
]


@pytest.mark.parametrize('damage, error, message', FAULTS)
def test_a_faulty_sample_is_an_error_that_names_the_file(voc_copy, damage, error, message):
    damage(voc_copy)
    dataset = build(voc_copy)
    assert dataset[0] is not None
    with pytest.raises(error, match=message):
        dataset[1]


@pytest.mark.parametrize('damage, error, message', FAULTS)
def test_a_faulty_sample_is_skipped_with_its_reason_and_a_count(voc_copy, damage, error, message,
                                                                monkeypatch):
    damage(voc_copy)
    messages = []
    monkeypatch.setattr(inst_box_dataset, 'print_log', lambda text, **_: messages.append(text))
    dataset = build(voc_copy, on_error='skip')
    assert [dataset.get_data_info(i)['img_path'][-7:-4] for i in range(len(dataset))
            ] == ['000', '002', '003']
    assert len(messages) == 2 and re.search(f'Left out: .*{message}', messages[0])
    assert messages[1] == 'InstBoxDataset: left out 1 of 4 samples.'


def test_skipping_everything_is_an_error(voc_copy):
    for file in (voc_copy / 'JPEGImages').iterdir():
        file.write_bytes(b'')
    with pytest.raises(ValueError, match='train.txt: none of the 4 samples'):
        build(voc_copy, on_error='skip')


def test_skipping_leaves_good_samples_alone(tiny_voc):
    assert len(build(tiny_voc, on_error='skip')) == 4
    assert len(build(tiny_voc, on_error='skip', data_prefix=dict(img_path='JPEGImages'))) == 4


def test_lazy_data_sets_are_checked_when_they_are_filled(tiny_voc):
    dataset = build(tiny_voc, ann_file='none.txt', lazy_init=True)
    with pytest.raises(FileNotFoundError):
        dataset.full_init()


def test_a_random_resize_that_forgets_the_instance_map_is_refused(tiny_voc):
    """Outside mmseg's scope RandomResize builds mmcv's Resize, which knows gt_seg_map only."""
    pipeline = [dict(type='mmseg.LoadInstImage'), dict(type='mmseg.LoadInstAnnotations'),
                dict(type='RandomResize', scale=(64, 64), ratio_range=(0.5, 2.0))]
    build(tiny_voc, pipeline=pipeline)
    init_default_scope('mmengine')
    with pytest.raises(ValueError, match="Resize cannot .*mmseg's Resize"):
        build(tiny_voc, pipeline=pipeline)


def test_rare_categories_are_drawn_more_often(tiny_voc):
    """What an image holds is what its category mask says, so mmengine's wrapper can balance."""
    dataset = build(tiny_voc)
    for index in range(len(dataset)):
        mask = np.array(Image.open(dataset.get_data_info(index)['seg_map_path']))
        assert dataset.get_cat_ids(index) == sorted(set(np.unique(mask).tolist()) - {255})
    config = dict(type='InstBoxDataset', data_root=str(tiny_voc), pipeline=PIPELINE,
                  metainfo=dict(classes=CLASSES), ann_file=f'{LISTS}/train.txt')
    balanced = DATASETS.build(
        dict(type='ClassBalancedDataset', oversample_thr=1.0, dataset=config))
    assert len(balanced) >= len(dataset) and 'data_samples' in balanced[len(balanced) - 1]


def test_a_list_of_another_system(voc_copy):
    for folder, suffix in (('JPEGImages', '.jpg'), ('SegmentationClass', '.png'),
                           ('SegmentationObject', '.png')):
        (voc_copy / folder / 'sub').mkdir()
        (voc_copy / folder / f'001{suffix}').rename(voc_copy / folder / 'sub' / f'an image{suffix}')
    (voc_copy / 'JPEGImages' / '002.jpg').rename(voc_copy / 'JPEGImages' / '002.JPG')
    (voc_copy / LISTS / 'train.txt').write_bytes(
        b'\xef\xbb\xbf000\r\nsub\\an image \r\n002.JPG\r\n003.jpg\r\n')
    dataset = build(voc_copy)
    names = [dataset.get_data_info(i)['img_path'].split('JPEGImages/')[1] for i in range(4)]
    assert names == ['000.jpg', 'sub/an image.jpg', '002.JPG', '003.jpg']
    assert all(len(dataset[i]['data_samples'].gt_instances) == 3 for i in range(4))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_images_are_turned_as_a_prediction_turns_them(voc_copy, orientation):
    from mmseg_instbox.utils.decoding import read_image
    file = voc_copy / 'JPEGImages' / '000.jpg'
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(file).save(file, exif=exif)
    dataset = build(voc_copy)
    image = dataset[0]['inputs'].numpy().transpose(1, 2, 0)
    assert np.array_equal(image, read_image(file))
