"""mmdet reads what the panoptic writer writes."""
import json

import numpy as np
import pytest
from PIL import Image

from mmseg_instbox.apis.formats import PanopticWriter


def read_ids(file):
    """Id of each pixel of a panoptic PNG, (H, W), by the format's definition."""
    with Image.open(file) as picture:
        assert picture.mode == 'RGB'
        red, green, blue = np.moveaxis(np.array(picture, dtype=np.int64), 2, 0)
    return red + 256 * green + 256 ** 2 * blue


@pytest.fixture
def segments(tmp_path, meta):
    """A function that gives the ids (H, W) and the segments of a sample."""
    def segments(sample, dataset_meta=meta):
        with PanopticWriter(tmp_path, dataset_meta) as writer:
            writer.add(sample, 'a')
        (annotation, ) = json.loads((tmp_path / 'panoptic.json').read_text())['annotations']
        return read_ids(tmp_path / 'panoptic' / 'a.png'), annotation['segments_info']
    return segments


@pytest.fixture
def written(tmp_path, sample, meta):
    with PanopticWriter(tmp_path, meta) as writer:
        writer.add(sample, 'a scene', '/data/a scene.jpg')
    return tmp_path


def test_segments_are_the_instances_and_the_stuff(written, sample, masks):
    content = json.loads((written / 'panoptic.json').read_text())
    (annotation, ) = content['annotations']
    ids = read_ids(written / 'panoptic' / annotation['file_name'])
    names = {each['id']: each['name'] for each in content['categories']}
    segments = annotation['segments_info']
    assert [names[each['category_id']] for each in segments] == [
        'dog', 'cat', 'dog', 'cat', 'background', 'sky']
    seg_map = sample.pred_sem_seg.data[0].numpy()
    expected = [*masks, seg_map == 0, seg_map == 2]
    for segment, mask in zip(segments, expected, strict=True):
        assert np.array_equal(ids == segment['id'], mask)
        assert segment['area'] == mask.sum() and segment['iscrowd'] == 0
    assert ids[59, 0] == 0 and (ids == 0).sum() == 1  # a thing without instance
    assert segments[1]['bbox'] == [10, 40, 40, 15] and segments[5]['bbox'] == [0, 0, 80, 3]
    assert [each.get('score') for each in segments] == pytest.approx([.9, .8, .3, .6, None, None])


def test_categories_say_what_is_a_thing(written, meta):
    content = json.loads((written / 'panoptic.json').read_text())
    assert [(each['id'], each['name'], each['isthing']) for each in content['categories']] == [
        (0, 'background', 0), (1, 'cat', 1), (2, 'sky', 0), (3, 'dog', 1)]
    assert [each['color'] for each in content['categories']] == meta['palette']
    assert content['images'] == [dict(id=1, file_name='a scene.jpg', height=60, width=80)]


def test_mmdet_reads_it(written, masks):
    from mmdet.datasets import CocoPanopticDataset
    dataset = CocoPanopticDataset(
        ann_file=str(written / 'panoptic.json'), pipeline=[],
        data_prefix=dict(img='/data', seg=str(written / 'panoptic')),
        metainfo=dict(classes=('background', 'cat', 'sky', 'dog'), thing_classes=('cat', 'dog'),
                      stuff_classes=('background', 'sky')))
    info = dataset[0]
    assert info['img_path'] == '/data/a scene.jpg'
    things = [each for each in info['segments_info'] if each['is_thing']]
    names = [dataset.metainfo['classes'][each['category']] for each in things]
    assert names == ['dog', 'cat', 'dog', 'cat']
    ids = read_ids(info['seg_map_path'])
    assert all(np.array_equal(ids == each['id'], mask)
               for each, mask in zip(things, masks, strict=True))


def test_ids_go_beyond_one_byte(make_sample, segments):
    sample = make_sample(np.eye(300, 400, dtype=bool).reshape(300, 20, 20), [0] * 300, [.5] * 300)
    ids, found = segments(sample)
    assert len(found) == 301 and ids.max() == 301
    assert np.array_equal(ids.ravel()[:300], np.arange(1, 301))


def test_official_ids_leave_room_for_stuff(make_sample, masks, segments):
    meta = dict(classes=('background', 'cat', 'sky', 'dog'), thing_classes=('dog', 'cat'),
                category_ids={2: 0, 17: 1})
    seg_map = np.full((60, 80), 2)
    seg_map[masks[0]], seg_map[masks[1]] = 3, 1
    sample = make_sample(masks[:2], [0, 1], [.5, .5], seg_map)
    ids = [each['category_id'] for each in segments(sample, meta)[1]]
    assert ids[:2] == [2, 17] and ids[2] not in (0, 1, 2, 3, 17)


def test_hidden_instances_are_no_segments(make_sample, masks, segments):
    sample = make_sample(np.stack([masks[1], masks[1]]), [0, 1], [.4, .5])
    assert [each['id'] for each in segments(sample)[1]] == [2, 3]
