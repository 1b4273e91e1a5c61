"""The inferencer: the predictions of the model itself, in every way of asking for them."""
import json
import resource
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.infer import BaseInferencer
from mmseg.apis import inference_model, show_result_pyplot
from mmseg.models import EncoderDecoder
from pycocotools import mask as mask_tools

from mmseg_instbox.apis import InstBoxInferencer, inst_box_inferencer, read_inputs, write_results
from mmseg_instbox.apis.formats import FORMATS
from mmseg_instbox.apis.video import TrackColors, frame_objects
from mmseg_instbox.engine import load_config
from mmseg_instbox.errors import InvalidInputError


def same_instances(first, second) -> None:
    """Both hold the same objects."""
    for key in ('masks', 'labels', 'bboxes'):
        assert torch.equal(first[key], second[key]), key
    assert torch.allclose(first.scores, second.scores, atol=1e-5)


def test_samples_are_those_of_mmsegs_inference_model(network, inferencer, noise):
    expected = inference_model(network, noise)
    sample, = inferencer.stream(noise)
    assert len(sample.pred_instances) > 1
    same_instances(sample.pred_instances, expected.pred_instances)
    assert torch.equal(sample.pred_sem_seg.data, expected.pred_sem_seg.data)
    assert sample.pred_sem_seg.data.dtype == torch.int64
    assert 'seg_logits' not in sample and 'seg_logits' in expected  # the model is as it was
    assert network.test_cfg == dict(mode='whole') and network.grouper.max_mask_bytes is None


def test_mmseg_draws_with_our_model(network, noise, tmp_path):
    result = inference_model(network, noise)
    drawn = show_result_pyplot(network, noise, result, show=False,
                               out_file=str(tmp_path / 'a.png'), draw_gt=False)
    assert drawn.shape == noise.shape and (drawn != noise).any()
    assert (tmp_path / 'a.png').is_file()


def test_metainfo(inferencer, photos, noise):
    first, second = inferencer.stream([photos[0], noise])
    assert (first.name, first.img_path, first.ori_shape) == ('000', str(photos[0]), (64, 64))
    assert (second.name, second.img_path, second.ori_shape) == ('000001', None, (80, 112))


@pytest.mark.parametrize('batch_size', [1, 3, 8])
def test_batches_change_nothing(inferencer, photos, noise, batch_size):
    """Nor does a neighbour of another size."""
    inputs = [*photos[:2], noise, *photos[2:4]]
    samples = list(inferencer.stream(inputs, batch_size=batch_size))
    assert [each.name for each in samples] == ['000', '001', '000002', '002', '003']
    for given, sample in zip(inputs, samples, strict=True):
        alone, = inferencer.stream(given)
        assert (alone.pred_sem_seg.data != sample.pred_sem_seg.data).float().mean() < 1e-3


def test_predictions_are_dictionaries_for_json(inferencer, photos, tmp_path):
    result = inferencer(photos[:2], out_dir=tmp_path, score_thr=0)
    assert isinstance(inferencer, BaseInferencer)
    assert set(result) == {'predictions', 'visualization'} and result['visualization'] == []
    for given, sample in zip(result['predictions'], inferencer.stream(photos[:2]), strict=True):
        found = sample.pred_instances
        assert json.loads(json.dumps(given)) == given
        assert given == json.loads((tmp_path / 'preds' / f'{given["name"]}.json').read_text())
        assert (given['height'], given['width']) == (64, 64)
        assert given['labels'] == found.labels.tolist() and given['bboxes'] == found.bboxes.tolist()
        assert given['label_names'] == [('square', 'disc')[label] for label in found.labels]
        masks = np.stack([mask_tools.decode(each) for each in given['masks']])
        assert np.array_equal(masks, found.masks.numpy())
        assert (tmp_path / 'vis' / f'{given["name"]}.jpg').is_file()
    assert len(list(tmp_path.rglob('*.*'))) == 4


def test_the_score_threshold_holds_for_dictionaries_and_not_for_samples(inferencer, noise):
    every = inferencer(noise, score_thr=0)['predictions'][0]['scores']
    thr = sorted(every)[len(every) // 2]
    kept = inferencer(noise, score_thr=thr)['predictions'][0]['scores']
    assert kept == [score for score in every if score >= thr] and len(kept) < len(every)
    sample, = inferencer(noise, score_thr=thr, return_datasamples=True)['predictions']
    assert sample.pred_instances.scores.tolist() == every


def test_pictures(inferencer, photos, noise):
    result = inferencer([photos[0], noise], return_vis=True, score_thr=0)
    drawn, plain = result['visualization'][1], inferencer(noise, return_vis=True, score_thr=1.1)
    assert len(result['visualization']) == 2
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3
    assert (drawn != plain['visualization'][0]).any()
    colours = plain['visualization'][0].reshape(plain['visualization'][0].shape)
    assert abs(colours[5, 5].astype(int) - noise[0, 0, ::-1]).max() < 3  # RGB of a BGR picture


def test_unreadable_inputs_raise_or_are_skipped_and_listed(inferencer, photos, tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(photos[0].read_bytes()[:-100])
    inputs = [photos[0], broken, tmp_path / 'gone.jpg', photos[1]]
    with pytest.raises(ValueError, match='broken.jpg: the image is broken'):
        list(inferencer.stream(inputs))
    for names in ([each.name for each in inferencer.stream(inputs, 2, on_error='skip')],
                  [each['name'] for each in inferencer(inputs, on_error='skip')['predictions']]):
        assert [Path(name).name for name in names] == ['000', '001']
        assert [name for name, _ in inferencer.failures] == [
            f'{tmp_path.name}/broken', f'{tmp_path.name}/gone']
        assert 'no such file' in inferencer.failures[1][1]
    assert list(inferencer.stream([], on_error='skip')) == [] and inferencer.failures == []


def test_unexpected_errors_of_one_image_are_listed_with_their_type(inferencer, photos, noise,
                                                                   monkeypatch, tmp_path):
    network, write = inferencer.model.test_step, inst_box_inferencer.write_image

    def fail(step, is_bad):
        def run(*args, **kwargs):
            if is_bad(*args):
                raise RuntimeError('out of\nmemory')
            return step(*args, **kwargs)
        return run

    monkeypatch.setattr(inferencer.model, 'test_step', fail(
        network, lambda batch: any(each.shape[-1] == 112 for each in batch['inputs'])))
    monkeypatch.setattr(inst_box_inferencer, 'write_image', fail(
        write, lambda _, file: '001' in file))
    inputs = [photos[0], noise, photos[1], noise, photos[2]]
    drawn = dict(return_vis=True, out_dir=tmp_path)
    found = inferencer(inputs, batch_size=5, on_error='skip', **drawn)
    assert [each['name'] for each in found['predictions']] == ['000', '002']
    assert len(found['visualization']) == 2
    assert sorted(inferencer.failures) == [
        ('000001', '000001: unexpected RuntimeError: out of memory'),
        ('000003', '000003: unexpected RuntimeError: out of memory'),
        ('001', '001: unexpected RuntimeError: out of memory')]
    for arguments in (dict(batch_size=5), drawn):
        with pytest.raises(RuntimeError, match='memory'):
            inferencer(inputs, **arguments)


def test_every_process_of_several_draws(inferencer, noise, monkeypatch, tmp_path):
    """Though visualizers of MMEngine do nothing but in the first one."""
    monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda group=None: 1)
    found = inferencer(noise, return_vis=True, out_dir=tmp_path)
    assert len(found['visualization']) == len(list(tmp_path.glob('vis/*.jpg'))) == 1


def test_a_window_shows_what_is_drawn(inferencer, noise, monkeypatch):
    shown = []
    monkeypatch.setattr(inst_box_inferencer, 'check_display', lambda: None)
    monkeypatch.setattr(inst_box_inferencer.Visualizer, 'show',
                        lambda _, *given: shown.append(given))
    found = inferencer(noise, show=True, wait_time=2, return_vis=True)
    (image, _, seconds), = shown
    assert image is found['visualization'][0] and seconds == 2


def test_without_a_display_nothing_is_shown(inferencer, noise, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'agg')
    with pytest.raises(ValueError, match='no display.*--out'):
        inferencer(noise, show=True)


def test_boxes_are_kept_when_asked_for_and_group_again(inferencer, noise):
    plain, = inferencer.stream(noise)
    assert 'pred_boxes' not in plain
    with pytest.raises(ValueError, match='keep_boxes=True'):
        inferencer.regroup(plain)
    sample, = inferencer.stream(noise, keep_boxes=True)
    inferencer.model.forward = None  # the network is not needed any more
    same_instances(inferencer.regroup(sample), sample.pred_instances)
    many = inferencer.regroup(sample, min_gain=0., merge_iou=1.)
    assert len(many) > len(sample.pred_instances)
    assert len(inferencer.regroup(sample, type='CentreGrouper')) > 0


@pytest.mark.parametrize('options', [dict(min_gian=0.1), dict(min_gain=-1), dict(score=('a', ))])
def test_options_that_the_grouper_does_not_take_are_refused(inferencer, noise, options):
    sample, = inferencer.stream(noise, keep_boxes=True)
    with pytest.raises(ValueError, match=f'{next(iter(options))}'):
        inferencer.regroup(sample, **options)


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs /proc to see its memory')
def test_memory_of_a_stream_does_not_grow(inferencer):
    """Of two hundred pictures only the last batch is alive; kept, masks alone would take 60 MB."""
    pictures = (np.full((192, 192, 3), i % 251, np.uint8) for i in range(200))
    alive, start = [], 0
    for number, sample in enumerate(inferencer.stream(pictures, batch_size=4)):
        alive = [each for each in alive if each() is not None] + [weakref.ref(sample)]
        assert len(alive) <= 8
        if number == 40:
            start = resident_bytes()
    assert number == 199 and resident_bytes() - start < 20e6


def test_a_stream_is_lazy(inferencer, noise):
    seen = []

    def pictures():
        for i in range(9):
            seen.append(i)
            yield noise

    stream = inferencer.stream(pictures(), batch_size=2)
    assert seen == []
    next(stream)
    assert seen == [0, 1]


def test_no_full_plane_is_made_of_an_instance(inferencer, noise, tmp_path):
    """Neither to predict and group again, nor to draw and write."""
    sample, = inferencer.stream(noise, keep_boxes=True)
    again = inferencer.regroup(sample)
    inferencer.visualize([noise], [sample], vis_dir=tmp_path, score_thr=0)
    inferencer.postprocess([sample], [])
    for kind in FORMATS:
        write_results([sample], kind, tmp_path / kind, inferencer.dataset_meta)
    annotated = frame_objects(sample, inferencer.dataset_meta['thing_classes'], 0, TrackColors())
    assert len(annotated.crops) == len(sample.pred_instances) > 2
    for found in (sample.pred_instances, again):
        assert found.masks.inst_map is not None and len(found.masks.planes) == len(found)


def test_a_grouper_bounds_the_masks_that_may_be_read(network, inferencer, noise, monkeypatch):
    every = next(inferencer.stream(noise)).pred_instances
    monkeypatch.setattr(network.grouper, 'max_mask_bytes', 2 * noise[..., 0].size)
    found = next(inferencer.stream(noise)).pred_instances
    assert found.num_left_out == len(every) - 2 > 0
    same_instances(found, every[:2])


def test_large_images_are_drawn_smaller_and_predicted_whole(network, noise):
    inferencer = InstBoxInferencer(network, show_progress=False, draw_size=50)
    found = inferencer(noise, return_vis=True, return_datasamples=True)
    assert found['visualization'][0].shape == (36, 50, 3)
    assert found['predictions'][0].pred_instances.masks.shape[1:] == noise.shape[:2]


def test_bfloat16_is_close(network, inferencer, noise):
    exact, = inferencer.stream(noise, keep_boxes=True)
    half, = InstBoxInferencer(network, precision='bf16').stream(noise, keep_boxes=True)
    for key, tolerance in (('pred_probs', 0.1), ('pred_boxes', 2)):
        assert half.get(key).data.dtype == torch.float32
        difference = (half.get(key).data - exact.get(key).data).abs()
        assert 0 < difference.mean() < tolerance, key


@pytest.mark.parametrize('arguments, message', [
    (dict(precision='fp16'), "needs a GPU; on a CPU use 'bf16'"),
    (dict(precision='half'), "precision is one of .*got 'half'"),
    (dict(tile=10), 'tile is the side of a tile in pixels'), (dict(tile=(512, 0.5)), 'tile')])
def test_settings_that_cannot_be_are_refused(network, arguments, message):
    with pytest.raises(ValueError, match=message):
        InstBoxInferencer(network, **arguments)


@pytest.mark.parametrize('arguments, message', [
    (dict(batch_size=0), 'batch_size is a number of images'), (dict(on_error='pass'), 'on_error')])
def test_arguments_that_cannot_be_are_refused_at_once(inferencer, noise, arguments, message):
    with pytest.raises(ValueError, match=message):
        inferencer.stream(noise, **arguments)


def test_models_without_names_or_instances_are_refused(network):
    network.dataset_meta = dict(classes=('background', 'square'))
    with pytest.raises(ValueError, match='has 3 categories but names for 2'):
        InstBoxInferencer(network)
    other = EncoderDecoder.__new__(EncoderDecoder)
    torch.nn.Module.__init__(other)
    with pytest.raises(ValueError, match='EncoderDecoder finds no instances'):
        InstBoxInferencer(other)


def test_a_config_and_a_checkpoint(network, tiny_config, noise, tmp_path):
    weights = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=network.state_dict()), weights)
    loaded = InstBoxInferencer(str(tiny_config), weights, device='cpu', show_progress=False,
                               cfg_options={'model.test_cfg.shifts': 2})
    assert loaded.model.test_cfg['shifts'] == 2
    assert loaded.dataset_meta['thing_classes'] == ('square', 'disc')
    network.test_cfg = dict(mode='whole', shifts=2)
    same_instances(next(loaded.stream(noise)).pred_instances,
                   inference_model(network, noise).pred_instances)


def test_a_setting_that_prediction_does_not_use_is_refused(tiny_config):
    size = {'test_dataloader.dataset.pipeline.0.to_float32': True}
    with pytest.raises(InvalidInputError, match='set test_pipeline'):
        InstBoxInferencer(str(tiny_config), device='cpu', cfg_options=size)
    both = size | {'test_pipeline.0.to_float32': True}
    assert InstBoxInferencer(str(tiny_config), device='cpu', cfg_options=both)


def test_a_checkpoint_that_carries_its_config(network, tiny_config, noise, tmp_path):
    content = dict(state_dict=network.state_dict(), meta=dict(
        config_json=json.dumps(load_config(str(tiny_config)).to_dict())))
    torch.save(content, tmp_path / 'alone.pth')
    expected = next(InstBoxInferencer(network).stream(noise)).pred_instances
    for arguments in (dict(model=tmp_path / 'alone.pth'), dict(weights=tmp_path / 'alone.pth')):
        loaded = InstBoxInferencer(**arguments, device='cpu')
        same_instances(next(loaded.stream(noise)).pred_instances, expected)


@pytest.mark.parametrize('options', [{}, dict(tile=64)])
def test_every_image_of_at_least_a_pixel_gets_a_result(network, noise, tmp_path, options):
    """However thin; the config would scale it to less than a pixel."""
    network.cfg.test_pipeline.insert(1, dict(type='Resize', scale=(96, 96), keep_ratio=True))
    inferencer = InstBoxInferencer(network, show_progress=False, **options)
    shapes = [(3000, 2), (2, 3000), (1, 1), (1, 700), (80, 112)]
    images = [np.resize(noise, (*shape, 3)) for shape in shapes]
    found = inferencer(images, batch_size=2, out_dir=tmp_path, return_datasamples=True)
    for shape, sample in zip(shapes, found['predictions'], strict=True):
        assert sample.pred_sem_seg.shape == sample.pred_instances.masks.shape[1:] == shape
    assert len(list((tmp_path / 'vis').iterdir())) == len(shapes)
    assert len(list((tmp_path / 'preds').iterdir())) == len(shapes)
    for kind in ('coco', 'labelme', 'yolo', 'png', 'panoptic'):
        write_results(found['predictions'], kind, tmp_path / kind, inferencer.dataset_meta)


def test_tiles_leave_the_picture_at_its_size(network, noise):
    """The config says 32 pixels; by tiles the network sees all of them, 64 x 64 at a time."""
    scaling = dict(type='Resize', scale=(32, 32), keep_ratio=True)
    network.cfg.test_pipeline.insert(1, scaling)
    seen, forward = [], network.forward_dense
    network.forward_dense = lambda inputs: seen.append(tuple(inputs.shape[2:])) or forward(inputs)
    scaled, = InstBoxInferencer(network).stream(noise)
    assert seen == [(24, 32)]
    seen.clear()
    tiled, = InstBoxInferencer(network, tile=64).stream(noise)
    assert set(seen[1:]) == {(64, 64)} and len(seen) == 1 + 2 * 3  # the first finds the stride
    assert tiled.ori_shape == scaled.ori_shape == (80, 112)
    assert tiled.pred_sem_seg.shape == (80, 112)


def test_a_progress_bar_is_shown_or_not(network, photos, capsys):
    InstBoxInferencer(network)(photos[:2])
    assert 'Inference' in capsys.readouterr().out
    quiet = InstBoxInferencer(network, show_progress=False)
    quiet(photos[:2])
    list(quiet.stream(photos[:2]))
    assert capsys.readouterr() == ('', '')


def test_pictures_can_come_as_input_images(inferencer, photos):
    """As the command line does, to go on with part of a list under the names of the whole."""
    images = list(read_inputs(photos))[3:5]
    assert [each.name for each in inferencer.stream(images)] == ['003', '004']
