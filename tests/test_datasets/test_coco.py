from pathlib import Path

import numpy as np
import pytest
import torch
from coco_pictures import COCO_TINY, DATA, PIPELINE, annotation, content, rectangle, rle, write
from mmseg.registry import DATASETS
from PIL import Image
from pycocotools.coco import COCO

from mmseg_instbox.datasets import CocoAsVOCInstDataset, CocoInstDataset, VOCInstDataset
from mmseg_instbox.datasets.coco import COCO_THINGS, COCO_TO_VOC

CLASSES = ('background', 'cell', 'spore')
needs_coco = pytest.mark.skipif(
    not COCO_TINY.is_dir(), reason='the photographs of COCO are not there; set INSTBOX_DATA')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write(tmp_path_factory.mktemp('coco'), content())


def build(root, **options):
    options = dict(metainfo=dict(classes=CLASSES), data_prefix=dict(img_path='images'),
                   pipeline=PIPELINE) | options
    return CocoInstDataset('annotations/instances.json', data_root=str(root), **options)


def maps(sample):
    return sample.gt_sem_seg.data[0].numpy(), sample.gt_inst_map.data[0].numpy()


def real(**options):
    return CocoInstDataset(
        'annotations/instances_val2017.json', data_root=str(COCO_TINY),
        data_prefix=dict(img_path='val2017'), pipeline=PIPELINE, **options)


def test_a_sample_holds_what_the_json_says(root):
    sample = build(root)[0]['data_samples']
    seg_map, inst_map = maps(sample)
    assert sample.img_id == 11 and sample.img_path.endswith('images/000000000011.jpg')
    assert sample.gt_instances.ids.tolist() == [1, 2, 3, 5]
    assert sample.gt_instances.labels.tolist() == [0, 1, 0, 0]
    assert sample.gt_instances.bboxes.tolist() == [
        [2, 2, 12, 12], [20, 5, 34, 30], [22, 10, 32, 14], [50, 10, 55, 15]]
    assert (inst_map[20, 40:] == 255).all() and (seg_map[20, 40:] == 255).all()
    assert seg_map[39, 0] == inst_map[39, 0] == 0


def test_objects_split_by_occlusion_stay_one_instance(root):
    seg_map, inst_map = maps(build(root)[0]['data_samples'])
    assert (inst_map[8, 20:24] == 2).all() and (inst_map[20, 30:34] == 2).all()
    assert (inst_map[12, 22:32] == 3).all() and (seg_map[12, 22:32] == 1).all()


def test_samples_follow_the_images_of_the_json(root):
    dataset = build(root)
    assert [dataset[i]['data_samples'].img_id for i in range(3)] == [11, 12, 4]
    assert len(dataset[1]['data_samples'].gt_instances) == 0


def test_the_metainfo_leads_from_official_ids_to_labels(root):
    assert build(root).metainfo['category_ids'] == {3: 0, 90: 1}
    swapped = dict(classes=CLASSES, thing_classes=('spore',))
    assert build(root, metainfo=swapped).metainfo['category_ids'] == {90: 0}


def test_a_category_that_is_no_thing_has_no_instances(root):
    dataset = build(root, metainfo=dict(classes=CLASSES, thing_classes=('spore',)))
    seg_map, inst_map = maps(dataset[2]['data_samples'])
    assert (seg_map[20:33, 20:31] == 1).all() and (inst_map[20:33, 20:31] == 0).all()


@pytest.mark.parametrize('others, expected', [('background', 0), ('void', 255)])
def test_objects_of_other_categories_are_background_or_void(root, others, expected):
    seg_map, inst_map = maps(build(root, others=others)[2]['data_samples'])
    assert (seg_map[20:33, 40:51] == expected).all() and (inst_map[20:33, 40:51] == expected).all()


def test_categories_may_be_renamed_and_joined(root):
    dataset = build(root, metainfo=dict(classes=('background', 'alive')),
                    category_map=dict(cell='alive', spore='alive'))
    assert dataset.metainfo['category_ids'] == {3: 0, 90: 0}
    assert dataset[2]['data_samples'].gt_instances.labels.tolist() == [0, 0]


def test_two_categories_of_one_name_are_one(tmp_path):
    table = content()
    table['categories'][1]['name'] = 'cell'  # that of id 7 was dust
    dataset = build(write(tmp_path, table))
    assert dataset.metainfo['category_ids'] == {3: 0, 7: 0, 90: 1}
    assert dataset[2]['data_samples'].gt_instances.labels.tolist() == [1, 0, 0]


def test_objects_of_a_category_named_background_are_background(tmp_path):
    table = content()
    table['categories'][1]['name'] = 'background'
    seg_map, inst_map = maps(build(write(tmp_path, table))[2]['data_samples'])
    assert (seg_map[20:33, 40:51] == 0).all() and (inst_map[20:33, 40:51] == 0).all()


def test_background_need_not_be_the_first_category(root):
    dataset = build(root, metainfo=dict(classes=('spore', 'background')))
    seg_map, _ = maps(dataset[2]['data_samples'])
    assert seg_map[0, 0] == 1 and seg_map[5, 5] == 0 and dataset.thing_ids == [0]


def test_images_without_objects_may_be_left_out(root):
    dataset = build(root, filter_cfg=dict(filter_empty_gt=True))
    assert [dataset[i]['data_samples'].img_id for i in range(len(dataset))] == [11, 4]


def test_more_than_255_objects_are_kept_apart(tmp_path):
    table = content()
    table['annotations'] = [
        annotation(i, 11, 3, [rectangle(x, y, x + 2, y + 2)]) for i, (x, y) in
        enumerate((x, y) for y in range(0, 40, 2) for x in range(0, 60, 2))]
    sample = build(write(tmp_path, table), metainfo=dict(classes=('background', 'cell')))[0]
    instances = sample['data_samples'].gt_instances
    assert len(instances) == 600 and 255 not in instances.ids
    assert len(instances.bboxes.unique(dim=0)) == 600


@pytest.mark.parametrize('options, message', [
    (dict(metainfo=dict(classes=('cell', 'spore'))), "needs 'background' among its classes"),
    (dict(metainfo=dict(classes=('background', 'sell'))), r"no categories \['sell'\], but only"),
    (dict(category_map=dict(cell='animal')), r"category_map leads to \['animal'\]"),
    (dict(category_map=dict(cel='cell')), r"no categories \['cel'\]"),
    (dict(others='nothing'), "others is 'nothing'"),
    (dict(filter_cfg=dict(min_size=3)), 'the only key known is filter_empty_gt'),
    (dict(data_prefix=dict(seg_map_path='masks')), 'img_path'),
])
def test_wrong_arguments_are_refused(root, options, message):
    with pytest.raises(ValueError, match=message):
        build(root, **options)


def test_leaving_out_everything_is_an_error(tmp_path):
    table = content()
    table['annotations'] = [a for a in table['annotations'] if a['category_id'] == 7]
    write(tmp_path, table)
    with pytest.raises(ValueError, match='no image has an object'):
        build(tmp_path, filter_cfg=dict(filter_empty_gt=True))
    write(tmp_path, dict(table, images=[], annotations=[]))
    with pytest.raises(ValueError, match='no images are listed'):
        build(tmp_path)


def test_missing_files_are_named(root):
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        build(root, data_prefix=dict(img_path='nowhere'))
    with pytest.raises(FileNotFoundError, match='none.json'):
        CocoInstDataset('none.json', data_root=str(root), data_prefix=dict(img_path='images'))


def odd_polygon(table):
    table['annotations'][7]['segmentation'][0].append(3)


def wrong_size(table):
    table['annotations'][7]['segmentation'] = rle((1, 1, 4, 4), shape=(30, 40))


def other_image_size(table):
    table['images'][2].update(width=30, height=40)


FAULTS = [(odd_polygon, 'annotation 8: a polygon has 9 coordinates', 3),
          (wrong_size, r'annotation 8: the RLE has size \[30, 40\]', 3),
          (other_image_size, 'instances.json: .*30 x 40.*image file is 60 x 40', 2)]


@pytest.mark.parametrize('damage, message, usable', FAULTS)
def test_a_faulty_sample_is_named_or_skipped(tmp_path, damage, message, usable):
    table = content()
    damage(table)
    write(tmp_path, table)
    dataset = build(tmp_path)
    assert dataset[0] is not None
    with pytest.raises(ValueError, match=f'00000004.jpg.*{message}|{message}'):
        dataset[2]
    dataset = build(tmp_path, on_error='skip')
    assert len(dataset) == usable
    if usable == 3:  # the other objects of the image stay
        assert dataset[2]['data_samples'].gt_instances.labels.tolist() == [1]


def test_skipping_lists_what_is_left_out(tmp_path, monkeypatch):
    table = content()
    table['annotations'][0]['segmentation'] = [[1, 1, 2, 2]]
    table['annotations'][1]['image_id'] = 99
    write(tmp_path, table)
    with pytest.raises(ValueError, match='image_id 99'):
        build(tmp_path)
    lines = []
    monkeypatch.setattr('mmseg_instbox.datasets.coco.print_log',
                        lambda line, **_: lines.append(line))
    dataset = build(tmp_path, on_error='skip')
    assert dataset[0]['data_samples'].gt_instances.labels.tolist() == [0, 0]
    for text in ('annotation 1 has a polygon of fewer than 3 points', 'annotation 2 is of image 99',
                 '10 problems; 7 of 9 annotations are used'):  # 7 boxes and a crowd
        assert any(text in line for line in lines)


def test_nothing_is_decoded_before_it_is_asked_for(root, monkeypatch):
    def refuse(*_):
        raise AssertionError('a mask was decoded')

    monkeypatch.setattr('mmseg_instbox.datasets.coco_masks.segmentation_rle', refuse)
    dataset = build(root)
    with pytest.raises(AssertionError):
        dataset[0]


def test_a_lazy_data_set_reads_nothing(tmp_path):
    dataset = DATASETS.build(dict(
        type='CocoInstDataset', ann_file='none.json', data_root=str(tmp_path), lazy_init=True))
    assert len(dataset.metainfo['classes']) == 81 and dataset.thing_ids == list(range(1, 81))


def test_names_are_those_that_mmdet_has():
    from mmdet.datasets import CocoDataset
    assert CocoInstDataset.METAINFO['thing_classes'] == CocoDataset.METAINFO['classes']
    palette = CocoInstDataset.METAINFO['palette']
    assert len({tuple(colour) for colour in palette}) == 81


@needs_coco
def test_all_images_of_coco_load_and_agree_with_pycocotools():
    dataset = real()
    coco = COCO(str(COCO_TINY / 'annotations' / 'instances_val2017.json'))
    assert len(dataset) == len(coco.imgs) == 60
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        check_against_pycocotools(sample, coco, dataset.metainfo['category_ids'])


def check_against_pycocotools(sample, coco, category_ids):
    """Where nothing overlaps the map shows an object's mask, and nothing outside of it."""
    annotations = coco.loadAnns(coco.getAnnIds(sample.img_id))
    masks = np.array([coco.annToMask(each) for each in annotations], bool)
    masks = masks.reshape(-1, *sample.ori_shape)
    crowd = np.array([each['iscrowd'] for each in annotations], bool)
    alone = masks.sum(0) == 1
    seg_map, inst_map = maps(sample)
    assert np.array_equal(seg_map == 255, masks[crowd].any(0) & ~masks[~crowd].any(0))
    assert np.array_equal((inst_map != 0) & (inst_map != 255), masks[~crowd].any(0))
    for position in np.flatnonzero(~crowd).tolist():
        shown = inst_map == position + 1
        assert not (shown & ~masks[position]).any() and shown[masks[position] & alone].all()
        label = category_ids[annotations[position]['category_id']]
        assert (seg_map[shown] == label + 1).all()


@needs_coco
def test_the_official_ids_are_those_of_the_80_categories():
    dataset = real(indices=1)
    coco = COCO(str(COCO_TINY / 'annotations' / 'instances_val2017.json'))
    things = dataset.metainfo['thing_classes']
    assert {number: things[label] for number, label in dataset.metainfo['category_ids'].items()
            } == {number: row['name'] for number, row in coco.cats.items()}


def test_boxes_flip_with_the_maps(root):
    flip = dict(type='RandomFlip', prob=1.0, direction='horizontal')
    before = build(root)[2]['data_samples'].gt_instances
    after = build(root, pipeline=[*PIPELINE[:2], flip, PIPELINE[2]])[2]['data_samples'].gt_instances
    x1, y1, x2, y2 = before.bboxes.unbind(1)
    assert torch.equal(after.bboxes, torch.stack([60 - x2, y1, 60 - x1, y2], 1))


@pytest.mark.parametrize('name', ['a/4.jpg', 'a\\4.jpg'])
def test_file_names_may_hold_folders(tmp_path, name):
    table = content()
    table['images'][2]['file_name'] = 'a/4.jpg'
    (tmp_path / 'images' / 'a').mkdir(parents=True)
    write(tmp_path, table)
    file = tmp_path / 'annotations' / 'instances.json'
    file.write_text(file.read_text().replace('a/4.jpg', name.replace('\\', '\\\\')))
    assert build(tmp_path)[2]['data_samples'].img_path == str(tmp_path / 'images' / 'a' / '4.jpg')


VOC = DATA / 'voc_mini' / 'VOCdevkit' / 'VOC2012'


@pytest.fixture
def coco80(tmp_path):
    """A couch, a tv and a fork, and all names of COCO."""
    table = content()
    names = dict(enumerate(COCO_THINGS, 1))
    table['categories'] = [dict(id=number, name=name) for number, name in names.items()]
    numbers = {name: number for number, name in names.items()}
    table['annotations'] = [
        annotation(i, 11, numbers[name], [rectangle(15 * i, 5, 15 * i + 10, 15)])
        for i, name in enumerate(('couch', 'tv', 'fork'))]
    return write(tmp_path, table)


def as_voc(coco80, **options):
    return CocoAsVOCInstDataset(
        'annotations/instances.json', data_root=str(coco80), pipeline=PIPELINE,
        data_prefix=dict(img_path='images'), **options)


def test_names_of_coco_go_to_names_of_voc():
    assert set(COCO_TO_VOC) <= set(COCO_THINGS)
    assert sorted(COCO_TO_VOC.values()) == sorted(VOCInstDataset.METAINFO['thing_classes'])


def test_categories_are_those_of_voc_and_the_rest_is_background(coco80):
    dataset = as_voc(coco80)
    assert dataset.metainfo['classes'] == VOCInstDataset.METAINFO['classes']
    sample = dataset[0]['data_samples']
    classes = [dataset.metainfo['thing_classes'][i] for i in sample.gt_instances.labels]
    assert classes == ['sofa', 'tvmonitor']
    assert (sample.gt_sem_seg.data[0, 5:15, 30:40] == 0).all()
    assert len(dataset.metainfo['category_ids']) == 20


def test_fewer_categories_of_voc_may_be_chosen(coco80):
    sample = as_voc(coco80, metainfo=dict(classes=('background', 'sofa')))[0]['data_samples']
    assert sample.gt_instances.labels.tolist() == [0]


def test_both_data_sets_read_the_same_file(coco80):
    coco = CocoInstDataset('annotations/instances.json', data_root=str(coco80), pipeline=PIPELINE,
                           data_prefix=dict(img_path='images'))
    assert len(coco[0]['data_samples'].gt_instances) == 3


@pytest.mark.skipif(not (COCO_TINY.is_dir() and VOC.is_dir()),
                    reason='the photographs are not there; set INSTBOX_DATA')
def test_maps_are_those_that_were_made_from_coco_another_way():
    """Some photographs are also there in VOC's layout, with crowds that kept their category."""
    dataset = CocoAsVOCInstDataset(
        'annotations/instances_val2017.json', data_root=str(COCO_TINY), pipeline=PIPELINE,
        data_prefix=dict(img_path='val2017'))
    compared = 0
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        name = f'{Path(sample.img_path).stem}.png'
        if not (VOC / 'SegmentationClass' / name).exists():
            continue
        compared += 1
        seg_map, inst_map = (np.array(Image.open(VOC / folder / name)).astype(int)
                             for folder in ('SegmentationClass', 'SegmentationObject'))
        seg_map[inst_map == 255] = 255
        assert np.array_equal(sample.gt_sem_seg.data[0], seg_map)
        pairs = np.unique(inst_map * 1000 + sample.gt_inst_map.data[0].numpy())
        assert len(pairs) == len(np.unique(inst_map)) == len(np.unique(pairs % 1000))
    assert compared > 40
