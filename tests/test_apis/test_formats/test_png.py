"""The data set that trains from VOC's masks reads what the PNG writer writes."""
import numpy as np
import pytest
from PIL import Image

from mmseg_instbox.apis.formats import PngWriter
from mmseg_instbox.datasets import InstBoxDataset, VOCInstDataset, read_annotations
from mmseg_instbox.deploy.plain_sample import PlainSample

PIPELINE = [dict(type='LoadInstImage'), dict(type='LoadInstAnnotations'),
            dict(type='PackInstInputs')]


@pytest.fixture
def pictures(tmp_path):
    """A folder with the image of the scene."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    Image.new('RGB', (80, 60)).save(folder / 'a scene.jpg')
    return folder


@pytest.fixture
def maps(tmp_path, meta):
    """A function that gives the two maps of a sample from a score on."""
    def maps(sample, score_thr=0.):
        PngWriter(tmp_path, meta, score_thr).add(sample, 'maps')
        return [np.array(Image.open(tmp_path / folder / 'maps.png'))
                for folder in ('SegmentationClass', 'SegmentationObject')]
    return maps


@pytest.fixture
def read_back(tmp_path, pictures):
    """Gives the data sample that a data set makes of the written masks."""
    def read_back(cls, **options):
        dataset = cls(data_root=str(tmp_path / 'out'),
                      ann_file='ImageSets/Segmentation/predicted.txt',
                      data_prefix=dict(img_path=str(pictures), seg_map_path='SegmentationClass',
                                       inst_map_path='SegmentationObject'),
                      pipeline=PIPELINE, **options)
        return dataset[0]['data_samples']
    return read_back


def test_the_data_set_reads_categories_and_objects(tmp_path, sample, masks, meta, read_back):
    with PngWriter(tmp_path / 'out', meta) as writer:
        writer.add(sample, 'a scene')
    seg_map = sample.pred_sem_seg.data[0].numpy()
    seg_map[59, 0] = 0  # in training, a thing without instance would be an error
    truth = read_back(InstBoxDataset, metainfo=meta)
    inst_map = truth.gt_inst_map.data[0].numpy()
    assert truth.gt_sem_seg.data[0].numpy()[:59].tolist() == seg_map[:59].tolist()
    assert truth.gt_instances.ids.tolist() == [1, 2, 3, 4]
    assert truth.gt_instances.labels.tolist() == [0, 1, 0, 1]
    for number, mask in enumerate(masks, start=1):
        assert np.array_equal(inst_map == number, mask)


def test_voc_reads_its_own_categories(tmp_path, make_sample, masks, read_back):
    meta = VOCInstDataset.METAINFO
    seg_map = np.zeros((60, 80), np.int64)
    seg_map[masks[0]], seg_map[masks[1]] = 12, 8
    with PngWriter(tmp_path / 'out', meta) as writer:
        writer.add(make_sample(masks[:2], [11, 7], [.9, .8], seg_map), 'a scene')
    truth = read_back(VOCInstDataset)
    assert np.array_equal(truth.gt_sem_seg.data[0], seg_map)
    assert truth.gt_instances.labels.tolist() == [11, 7]
    assert truth.gt_instances.bboxes.tolist() == [[5, 10, 30, 30], [10, 40, 50, 55]]


def test_files_are_indexed_with_the_palette_of_voc(tmp_path, sample, meta):
    PngWriter(tmp_path, meta).add(sample, 'scene')
    for folder in ('SegmentationClass', 'SegmentationObject'):
        with Image.open(tmp_path / folder / 'scene.png') as picture:
            assert picture.mode == 'P'
            assert picture.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def test_more_than_254_instances_take_16_bit(tmp_path, make_sample, meta, pictures, read_back):
    masks = np.zeros((300, 60, 80), bool)
    masks.reshape(300, -1)[range(300), range(0, 3000, 10)] = True
    with PngWriter(tmp_path / 'out', meta) as writer:
        writer.add(make_sample(masks, [0] * 300, [.5] * 300), 'a scene')
    with Image.open(tmp_path / 'out' / 'SegmentationObject' / 'a scene.png') as picture:
        assert picture.mode == 'I;16'
        ids = np.array(picture).ravel()[:3000:10]
    assert ids.tolist() == [*range(1, 255), *range(256, 302)]  # 255 is void
    truth = read_back(InstBoxDataset, metainfo=meta)
    assert truth.gt_instances.ids.tolist() == ids.tolist()


@pytest.mark.parametrize('number, dtype', [(254, np.uint8), (255, np.uint16)])
def test_254_instances_fit_into_8_bit(number, dtype, make_sample, maps):
    masks = np.eye(number, 400, dtype=bool).reshape(number, 20, 20)
    _, ids = maps(make_sample(masks, [0] * number, [.5] * number))
    assert ids.dtype == dtype and len(np.unique(ids)) == number + 1


def test_the_highest_score_is_on_top_and_shows_its_category(make_sample, maps):
    masks = np.zeros((3, 4, 4), bool)
    masks[0, :3], masks[1, 1:], masks[2, 1:3] = True, True, True
    seg_map = np.zeros((4, 4), np.int64)
    categories, ids = maps(make_sample(masks, [0, 1, 0], [.5, .9, .1], seg_map))
    assert ids[:, 0].tolist() == [1, 2, 2, 2]
    assert categories[:, 0].tolist() == [3, 1, 1, 1]


def test_pixels_of_left_out_instances_keep_their_category(sample, maps):
    categories, ids = maps(sample, .85)
    assert np.unique(ids).tolist() == [0, 1]
    assert np.array_equal(categories, sample.pred_sem_seg.data[0])


def test_void_stays_void(make_sample, masks, maps):
    seg_map = np.full((60, 80), 255)
    seg_map[masks[0]] = 3
    categories, ids = maps(make_sample(masks[:1], [0], [.5], seg_map))
    assert np.array_equal(categories, np.where(masks[0], 3, 255))
    assert np.array_equal(ids, masks[0])


def test_more_categories_than_fit(tmp_path):
    names = tuple(map(str, range(256)))
    with pytest.raises(ValueError, match='256 categories do not fit'):
        PngWriter(tmp_path, dict(classes=names, thing_classes=names))


def test_samples_without_a_category_map(sample, maps):
    del sample.pred_sem_seg
    with pytest.raises(ValueError, match='scene has no pred_sem_seg'):
        maps(sample)


def test_the_names_of_the_categories_are_written_with_the_colours_of_the_masks(
        tmp_path, sample, meta):
    with PngWriter(tmp_path, meta) as writer:
        writer.add(sample, 'a')
    lines = (tmp_path / 'labelmap.txt').read_text().splitlines()[1:]
    assert lines == ['background:0,0,0::', 'cat:128,0,0::', 'sky:0,128,0::', 'dog:128,128,0::']
    names = {each['id']: each['name']
             for each in read_annotations(tmp_path, need_images=False)['all'].coco['categories']}
    assert {*names.values()} == {'cat', 'dog'}


@pytest.mark.parametrize('classes', [('cat', 'dog'), ('cat', 'background', 'dog')])
def test_names_are_read_back_where_the_background_is_not_the_first(tmp_path, classes):
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 2:8, 2:8] = masks[1, 2:8, 12:18] = True
    fields = dict(masks=masks, labels=np.array([0, 1]), scores=np.array([1., .5], np.float32))
    sample = PlainSample(pred_instances=PlainSample(fields),
                         pred_sem_seg=PlainSample(data=np.full((1, 20, 30), 255)))
    with PngWriter(tmp_path, dict(classes=classes, thing_classes=('cat', 'dog'))) as writer:
        writer.add(sample, 'a')
    found = read_annotations(tmp_path, need_images=False)['all'].coco
    names = {each['id']: each['name'] for each in found['categories']}
    assert [names[each['category_id']] for each in found['annotations']] == ['cat', 'dog']
