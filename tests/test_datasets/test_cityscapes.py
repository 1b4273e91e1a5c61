"""Files as Cityscapes distributes them: label ids, and ``label id * 1000 + number`` for objects."""
import numpy as np
import pytest
from coco_pictures import PIPELINE
from PIL import Image

from mmseg_instbox.datasets import CityscapesInstDataset

HEIGHT, WIDTH = 32, 64
PHOTO = 'leftImg8bit/{split}/{city}/{city}_000000_000019_leftImg8bit.png'
MASK = 'gtFine/{split}/{city}/{city}_000000_000019_gtFine_instanceIds.png'
# (rows, columns) -> value in the file, and category and object id that must come out
REGIONS = {
    (0, 8, 0, 64): (23, 10, 0),  # sky
    (8, 32, 0, 4): (1, 255, 255),  # ego vehicle
    (8, 32, 4, 8): (4, 255, 255),  # static
    (10, 20, 10, 20): (24000, 11, 24000),  # the first person
    (12, 20, 20, 30): (24001, 11, 24001),  # a second one that touches it
    (10, 20, 30, 40): (26, 13, 255),  # a group of cars
    (10, 20, 40, 45): (26012, 13, 26012),  # the car in front
    (10, 20, 45, 50): (26013, 13, 26013),  # another, in two parts
    (10, 20, 55, 60): (26013, 13, 26013),
    (10, 20, 50, 55): (33001, 18, 33001),  # bicycle
    (24, 28, 10, 20): (29000, 255, 255),  # caravan: not among the categories
    (24, 28, 20, 30): (20, 7, 0),  # traffic sign
    (24, 28, 30, 40): (25, 12, 255),  # a group of riders
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('cityscapes')
    for split, city in (('train', 'aachen'), ('train', 'ulm'), ('val', 'lindau')):
        mask = np.full((HEIGHT, WIDTH), 7, np.uint16)
        for (top, bottom, left, right), (value, _, _) in REGIONS.items():
            mask[top:bottom, left:right] = value
        picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        for pattern, content in ((PHOTO, picture), (MASK, mask)):
            path = root / pattern.format(split=split, city=city)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(path)
    return root


def build(root, **options):
    return CityscapesInstDataset(data_root=str(root), **(dict(pipeline=PIPELINE) | options))


def test_the_things_are_the_last_eight_categories():
    dataset = CityscapesInstDataset(lazy_init=True)
    assert len(dataset.metainfo['classes']) == 19 and dataset.thing_ids == list(range(11, 19))
    assert dataset.metainfo['thing_classes'] == (
        'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')


def test_all_cities_of_a_split_are_found(root):
    assert [build(root).get_data_info(i)['img_path'].split('/')[-2] for i in range(2)
            ] == ['aachen', 'ulm']
    prefix = dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')
    assert len(build(root, data_prefix=prefix)) == 1


def test_maps_are_those_of_the_ids(root):
    sample = build(root)[1]['data_samples']
    seg_map, inst_map = sample.gt_sem_seg.data[0], sample.gt_inst_map.data[0]
    for (top, bottom, left, right), (_, category, number) in REGIONS.items():
        assert (seg_map[top:bottom, left:right] == category).all()
        assert (inst_map[top:bottom, left:right] == number).all()
    assert seg_map[31, 63] == 0 and inst_map[31, 63] == 0  # road


def test_objects_have_labels_and_boxes(root):
    instances = build(root)[0]['data_samples'].gt_instances
    assert instances.ids.tolist() == [24000, 24001, 26012, 26013, 33001]
    assert instances.labels.tolist() == [0, 0, 2, 2, 7]
    assert instances.bboxes[3].tolist() == [45, 10, 60, 20]


def test_categories_left_out_are_void(root):
    sample = build(root, metainfo=dict(classes=('car', 'sky')))[0]['data_samples']
    assert sample.gt_sem_seg.data.unique().tolist() == [0, 1, 255]
    assert sample.gt_instances.labels.tolist() == [0, 0]
    assert (sample.gt_inst_map.data[sample.gt_sem_seg.data == 255] == 255).all()


def test_categories_that_are_no_things_have_no_objects(root):
    classes = CityscapesInstDataset.METAINFO['classes']
    dataset = build(root, metainfo=dict(classes=classes, thing_classes=('car', )))
    sample = dataset[0]['data_samples']
    assert sample.gt_instances.ids.tolist() == [26012, 26013]
    assert (sample.gt_inst_map.data[sample.gt_sem_seg.data == 11] == 0).all()


def test_wrong_arguments_and_files_are_told(root, tmp_path):
    with pytest.raises(ValueError, match='leave out inst_map_path'):
        build(root, data_prefix=dict(img_path='a', inst_map_path='b'))
    for pattern in (PHOTO, MASK):
        path = tmp_path / pattern.format(split='train', city='ulm')
        path.parent.mkdir(parents=True)
        source = root / pattern.format(split='train', city='ulm')
        path.write_bytes(source.read_bytes())
    mask = np.array(Image.open(path))
    mask[0, 0] = 77
    Image.fromarray(mask).save(path)
    with pytest.raises(ValueError, match=r'ulm_.*instanceIds.png: .*\[77\]'):
        build(tmp_path)[0]
    path.unlink()
    with pytest.raises(FileNotFoundError, match='ulm_.*instanceIds.png: no such category mask'):
        build(tmp_path)[0]


def test_images_alone_have_no_annotations(root):
    dataset = build(root, data_prefix=dict(img_path='leftImg8bit/val'))
    assert 'gt_sem_seg' not in dataset[0]['data_samples']
