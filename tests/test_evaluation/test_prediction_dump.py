import json

import numpy as np
import pytest
import torch
from metric_samples import META, evaluate
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample

from mmseg_instbox.evaluation import DumpPixelBoxes, PredictionDump
from mmseg_instbox.evaluation.prediction_dump import (
    INDEX,
    image_file,
    write_image,
    write_index,
)


@pytest.fixture
def predicted():
    """Probabilities from 1 down to 1e-15 and boxes, of which one is not a number."""
    random = torch.Generator().manual_seed(3)
    probs = (8 * torch.randn(5, 6, 7, generator=random)).softmax(0)
    boxes = 300 * torch.randn(4, 6, 7, generator=random)
    boxes[0, 0, 0], boxes[2, 1, 1] = torch.nan, torch.inf
    return probs, boxes, (50.5, 61.25)


@pytest.fixture
def dump_dir(predicted, tmp_path):
    """A dump of two pictures of one name in two folders."""
    paths = ['data/b/picture.jpg', 'data/a/picture.jpg']
    for path in paths:
        write_image(tmp_path / image_file(path), *predicted)
    write_index(tmp_path, paths, classes=['background', 'cat'], thing_classes=['cat'])
    return tmp_path


def write_and_read(folder, *predicted):
    """The probabilities, boxes and extent that come back from a dump of one image."""
    write_image(folder / image_file('picture.jpg'), *predicted)
    write_index(folder, ['picture.jpg'])
    image = PredictionDump(folder)[0]
    return image['probs'], image['boxes'], image['extent']


def test_nothing_that_matters_is_lost(predicted, tmp_path):
    probs, boxes, extent = write_and_read(tmp_path, *predicted)
    assert extent == (50.5, 61.25)
    assert torch.equal(boxes.nan_to_num(), predicted[1].nan_to_num())
    assert boxes.isfinite().equal(predicted[1].isfinite())
    assert probs.numpy() == pytest.approx(predicted[0].numpy(), abs=2e-4)
    assert probs.sum(0).numpy() == pytest.approx(1)
    logs = [each.clamp(min=1e-12).log() for each in (predicted[0], probs)]
    expected, given = (log - log.amax(0) for log in logs)
    assert (given - expected).abs().le(expected.abs() / 2048 + 1e-6).all()


def test_the_best_category_stays_the_best_however_close(tmp_path):
    probs = torch.full((3, 1, 2), 1 / 3)
    probs[:, 0, 0] += torch.tensor([-1e-6, 0, 1e-6])
    probs[:, 0, 1] += torch.tensor([1e-6, -1e-6, 0])
    read = write_and_read(tmp_path, probs, torch.zeros(4, 1, 2), (8, 16))
    assert read[0].argmax(0).tolist() == [[2, 0]]


def test_files_are_compact_and_hold_no_code(predicted, tmp_path):
    write_image(tmp_path / 'picture.npz', *predicted)
    with np.load(tmp_path / 'picture.npz', allow_pickle=False) as arrays:
        assert {name: array.dtype for name, array in arrays.items()} == dict(
            log_scores=np.float16, boxes=np.float32, extent=np.float64)


def test_images_come_in_the_order_of_the_index(dump_dir):
    dump = PredictionDump(dump_dir)
    assert len(dump) == 2 and dump.meta == dict(
        version=1, classes=['background', 'cat'], thing_classes=['cat'])
    assert [dump[i]['img_path'] for i in range(2)] == ['data/b/picture.jpg', 'data/a/picture.jpg']
    assert dump[0]['probs'].shape == (5, 6, 7) and dump[0]['boxes'].shape == (4, 6, 7)
    assert len(list((dump_dir / 'images').iterdir())) == 2  # folders are told apart


@pytest.mark.parametrize('name', ['x' * 251, 'picture-\udcff'])
def test_any_name_of_an_image_can_be_dumped(predicted, tmp_path, name):
    """As long as file systems allow it, and bytes that are no UTF-8."""
    write_image(tmp_path / image_file(f'{name}.jpg'), *predicted)
    write_index(tmp_path, [f'{name}.jpg'])
    assert PredictionDump(tmp_path)[0]['img_path'] == f'{name}.jpg'


def test_a_dump_that_is_missing_or_unfinished_is_named(dump_dir):
    with pytest.raises(FileNotFoundError, match='gone: there is no index.json: it is no directory'):
        PredictionDump(dump_dir / 'gone')
    (dump_dir / INDEX).unlink()
    with pytest.raises(FileNotFoundError, match='no index.json: .* cut off'):
        PredictionDump(dump_dir)


@pytest.mark.parametrize('text, message', [
    ('{"version": 7, "images": []}', 'format version 7, this program reads version 1'),
    ('{"version": 1, "ima', 'not the index of a dump'),
    ('[1]', 'not the index of a dump'),
    ('{"images": []}', 'not the index of a dump'),
])
def test_a_wrong_index_is_named(dump_dir, text, message):
    (dump_dir / INDEX).write_text(text)
    with pytest.raises(ValueError, match=message):
        PredictionDump(dump_dir)


def test_a_wrong_image_is_named(dump_dir):
    dump = PredictionDump(dump_dir)
    file = dump_dir / image_file('data/a/picture.jpg')
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ValueError, match='picture-.*npz: not a readable image of a dump'):
        dump[1]
    file.unlink()
    with pytest.raises(FileNotFoundError, match='picture-.*npz: this image of the dump is missing'):
        dump[1]


def test_the_index_says_where_it_comes_from(dump_dir):
    index = json.loads(
        write_index(dump_dir, ['a.jpg'], config='c.py', checkpoint='c.pth').read_text())
    assert index == dict(version=1, config='c.py', checkpoint='c.pth', images=['a.jpg'])


def make_sample(name):
    sample = SegDataSample(metainfo=dict(img_path=f'folder/{name}', grid_extent=(33., 40.)))
    sample.pred_probs = PixelData(data=torch.full((4, 2, 3), .25))
    sample.pred_boxes = PixelData(data=torch.arange(24.).view(4, 2, 3))
    return sample


def test_every_image_is_dumped_in_order(tmp_path):
    samples = [make_sample(name) for name in ('b.jpg', 'a.jpg', 'c.jpg')]
    metric = METRICS.build(dict(
        type='DumpPixelBoxes', out_dir=str(tmp_path / 'new'), config='c.py', checkpoint='c.pth'))
    assert evaluate(samples, [metric]) == {}
    dump = PredictionDump(tmp_path / 'new')
    assert [dump[i]['img_path'] for i in range(3)] == ['folder/b.jpg', 'folder/a.jpg',
                                                       'folder/c.jpg']
    assert torch.equal(dump[1]['boxes'], torch.arange(24.).view(4, 2, 3))
    assert dump[1]['extent'] == (33., 40.)
    assert dump.meta == dict(version=1, config='c.py', checkpoint='c.pth',
                             classes=list(META['classes']), thing_classes=['dog', 'cat'])


def test_what_a_sampler_added_to_even_out_processes_is_dropped(tmp_path):
    samples = [make_sample(name) for name in ('a.jpg', 'b.jpg', 'a.jpg')]
    evaluate(samples, [DumpPixelBoxes(str(tmp_path))], size=2)
    assert PredictionDump(tmp_path).img_paths == ['folder/a.jpg', 'folder/b.jpg']


def test_a_run_that_is_cut_off_leaves_no_index(tmp_path):
    evaluate([make_sample('a.jpg')], [DumpPixelBoxes(str(tmp_path))])
    metric = DumpPixelBoxes(str(tmp_path))
    metric.dataset_meta = META
    metric.process({}, [make_sample('a.jpg').to_dict()])
    with pytest.raises(FileNotFoundError, match='cut off'):
        PredictionDump(tmp_path)


def test_only_names_are_kept_in_memory(tmp_path):
    metric = DumpPixelBoxes(str(tmp_path))
    metric.process({}, [make_sample('a.jpg').to_dict()])
    assert metric.results == ['folder/a.jpg']


@pytest.mark.parametrize('key', ['pred_probs', 'pred_boxes', 'grid_extent'])
def test_a_model_that_keeps_no_boxes_is_told_how(tmp_path, key):
    sample = make_sample('a.jpg').to_dict()
    del sample[key]
    with pytest.raises(ValueError, match=f'a.jpg has no {key}; .*keep_boxes=True'):
        DumpPixelBoxes(str(tmp_path)).process({}, [sample])
