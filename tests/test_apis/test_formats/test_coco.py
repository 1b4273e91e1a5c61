"""pycocotools reads and evaluates what the COCO writer writes."""
import json

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmseg_instbox.apis.formats import CocoWriter
from mmseg_instbox.utils.run_lengths import encode_mask


@pytest.fixture
def write(tmp_path, meta):
    def write(*images, dataset_meta=meta, **options):
        with CocoWriter(tmp_path, dataset_meta, **options) as writer:
            for image in images:
                writer.add(*image)
        return tmp_path / 'annotations.json'
    return write


@pytest.fixture
def annotate(write):
    """A function that gives the annotations of a sample."""
    def annotate(sample, meta, **options):
        file = write((sample, 'scene'), dataset_meta=meta, **options)
        return json.loads(file.read_text())['annotations']
    return annotate


def test_pycocotools_reads_the_masks(write, sample, masks, capsys):
    coco = COCO(write((sample, 'scene')))
    (image_id, ) = coco.getImgIds()
    annotations = coco.loadAnns(coco.getAnnIds(image_id))
    assert coco.loadImgs(image_id) == [dict(id=1, file_name='scene', height=60, width=80)]
    for mask, annotation in zip(masks, annotations, strict=True):
        assert np.array_equal(coco.annToMask(annotation), mask)
        assert annotation['area'] == mask.sum()
    names = [coco.cats[each['category_id']]['name'] for each in annotations]
    assert names == ['dog', 'cat', 'dog', 'cat']
    assert [each['score'] for each in annotations] == pytest.approx([.9, .8, .3, .6])
    assert annotations[1]['bbox'] == [10, 40, 40, 15] and annotations[2]['bbox'] == [79, 59, 1, 1]


def test_annotations_are_detections(write, sample, masks, capsys):
    truth = COCO(write((sample, 'scene')))
    found = truth.loadRes(json.loads((write((sample, 'scene'))).read_text())['annotations'])
    assert all(np.array_equal(found.annToMask(each), mask)
               for each, mask in zip(found.dataset['annotations'], masks, strict=True))
    evaluation = COCOeval(truth, found, 'segm')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1


def test_ids_are_indices_of_the_classes(write, sample, meta):
    content = json.loads(write((sample, 'scene')).read_text())
    assert content['categories'] == [dict(id=3, name='dog', supercategory=''),
                                     dict(id=1, name='cat', supercategory='')]
    assert [each['category_id'] for each in content['annotations']] == [3, 1, 3, 1]
    assert [each['id'] for each in content['annotations']] == [1, 2, 3, 4]


def test_no_object_has_the_category_0(annotate, make_sample, masks):
    meta = dict(classes=('dog', 'cat'), thing_classes=('dog', 'cat'))
    found = annotate(make_sample(masks[:2], [0, 1], [.5, .5], img_id=7), meta)
    assert [(each['image_id'], each['category_id']) for each in found] == [(7, 1), (7, 2)]


def test_ids_of_a_data_set_from_coco_are_kept(annotate, sample, meta):
    found = annotate(sample, meta | dict(category_ids={18: 0, 17: 1}))
    assert [each['category_id'] for each in found] == [18, 17, 18, 17]
    # as JSON has them, and where two ids mean one category
    found = annotate(sample, meta | dict(category_ids={'18': 0, '17': 1}))
    assert [each['category_id'] for each in found] == [18, 17, 18, 17]
    found = annotate(sample, meta | dict(category_ids={18: 0, 17: 1, 16: 1}))
    assert [each['category_id'] for each in found] == [3, 1, 3, 1]


def test_low_scores_are_left_out(annotate, write, sample, capsys):
    assert len(COCO(write((sample, 'scene'), score_thr=.6)).anns) == 3
    assert len(annotate(sample, dict(classes=('dog', 'cat'), thing_classes=('dog', 'cat')),
                        score_thr=.85)) == 1


def test_file_names_are_relative_to_the_folder_of_all(write, make_sample, masks, capsys):
    sample = make_sample(masks[:1], [0], [.5])
    coco = COCO(write((sample, 'a', '/data/x/a.jpg'), (sample, 'b', '/data/x/deep/b.png'),
                      (sample, 'my cat', 'https://example.org/my%20cat.jpg?size=1'),
                      (sample, 'my cat_2', 'https://example.com/my%20cat.jpg'), (sample, 'd')))
    assert [each['file_name'] for each in coco.dataset['images']] == [
        'a.jpg', 'deep/b.png', 'my cat.jpg', 'my cat_2.jpg', 'd']


def test_a_single_file_has_no_folder(write, sample):
    content = json.loads(write((sample, 'a', '/data/x/a.jpg')).read_text())
    assert content['images'][0]['file_name'] == 'a.jpg'


def test_image_ids_are_kept_and_not_given_twice(write, make_sample, masks, meta, tmp_path):
    samples = [make_sample(masks[:1], [0], [.5], img_id=number) for number in (42, 7)]
    content = json.loads(write((samples[0], 'a'), (samples[1], 'b')).read_text())
    assert [each['id'] for each in content['images']] == [7, 42]
    assert [each['image_id'] for each in content['annotations']] == [42, 7]
    with pytest.raises(ValueError, match='b: its id 42 is that of a'):
        write((samples[0], 'a'), (samples[0], 'b'))


def test_frames_of_videos_have_their_numbers_and_objects_theirs(write, make_sample, masks):
    frames = []
    for number, video in enumerate(['cat', 'cat', 'dog']):
        frames.append(make_sample(masks[:2], [0, 1], [.5, .5], video=video, frame_id=number))
        frames[-1].pred_instances.track_ids = torch.tensor([7, -1])
    content = json.loads(write(*((frame, f'{i}') for i, frame in enumerate(frames))).read_text())
    assert content['videos'] == [dict(id=1, name='cat'), dict(id=2, name='dog')]
    assert [(each['video_id'], each['frame_id']) for each in content['images']] == [
        (1, 0), (1, 1), (2, 2)]
    assert [each.get('track_id') for each in content['annotations']] == [7, None] * 3


def test_masks_without_pixels_are_left_out(annotate, make_sample, masks, meta):
    masks[0] = False
    assert len(annotate(make_sample(masks[:2], [0, 1], [.5, .5]), meta)) == 1


def test_more_encoded_masks_than_a_byte_counts(write, make_sample):
    sample = make_sample(np.eye(305, dtype=bool).reshape(305, 5, 61), [0] * 305, [.5] * 305)
    found = sample.pred_instances
    codes = [encode_mask(mask) for mask in found.masks.numpy()]
    sample.pred_instances = InstanceData(masks=codes, labels=found.labels, scores=found.scores)
    assert len(json.loads(write((sample, 'many')).read_text())['annotations']) == 305
