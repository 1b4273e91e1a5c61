"""Exported models predict as the model does: through the inferencer, and without OpenMMLab."""
import sys

import cv2
import numpy as np
import pytest
import torch
from mmseg.apis import inference_model

from mmseg_instbox.apis import FORMATS, InstBoxInferencer, load_model, write_results
from mmseg_instbox.apis.jobs.worker import open_predictor
from mmseg_instbox.deploy import ExportedModel
from mmseg_instbox.deploy.export_settings import normalise, resize_image
from mmseg_instbox.deploy.exporting import settings_of
from mmseg_instbox.errors import InvalidInputError, MissingFileError, MissingPackageError

from .same import same_instances, same_maps


@pytest.fixture(scope='module')
def eager(network) -> InstBoxInferencer:
    return InstBoxInferencer(network, show_progress=False)


def inferencer(file, **options) -> InstBoxInferencer:
    return InstBoxInferencer(file, show_progress=False, **options)


def test_the_inferencer_finds_the_same(eager, file, photos, noise):
    pictures = [*map(str, photos), noise, noise[:50]]
    found = list(inferencer(file).stream(pictures, batch_size=3))
    for mine, its in zip(eager.stream(pictures), found, strict=True):
        same_instances(mine.pred_instances, its.pred_instances)
        same_maps(mine.pred_sem_seg, its.pred_sem_seg)
        assert mine.name == its.name and mine.ori_shape == its.ori_shape


def test_the_runtime_finds_the_same(eager, file, photos, noise):
    pictures = [*map(str, photos), noise, noise[:50]]
    found = list(ExportedModel(file).stream(pictures, batch_size=4))
    for mine, its in zip(eager.stream(pictures), found, strict=True):
        same_instances(mine.pred_instances, its.pred_instances)
        same_maps(mine.pred_sem_seg, its.pred_sem_seg)
        assert mine.name == its.name and tuple(mine.ori_shape) == its.ori_shape
    assert found[0].img_path == str(photos[0]) and found[-1].img_path is None


def test_thin_images_get_the_same_result(eager, file, noise):
    images = [np.resize(noise, (*shape, 3)) for shape in ((3000, 2), (2, 3000), (1, 1))]
    for mine, its, bare in zip(*(model.stream(images) for model in (
            eager, inferencer(file), ExportedModel(file))), strict=True):
        for each in (its, bare):
            assert each.pred_sem_seg.data.shape == (1, *mine.ori_shape)
            assert len(each.pred_instances.labels) == len(mine.pred_instances.labels)
            same_maps(mine.pred_sem_seg, each.pred_sem_seg)


def test_tiles_are_those_of_the_network(network, onnx_file, noise):
    large = np.tile(noise, (3, 3, 1))
    mine, = InstBoxInferencer(network, tile=64, show_progress=False).stream(large)
    for model in (inferencer(onnx_file, tile=64), ExportedModel(onnx_file, tile=64)):
        its, = model.stream(large)
        same_instances(mine.pred_instances, its.pred_instances)


def test_the_config_can_be_changed(network, onnx_file, noise):
    options = {'model.test_cfg.shifts': 2, 'model.grouper.min_gain': 0.4}
    changed = inferencer(onnx_file, cfg_options=options)
    assert changed.model.grouper.min_gain == 0.4
    eager = InstBoxInferencer(network, show_progress=False)
    one, = eager.stream(noise, keep_boxes=True)
    fine, = changed.stream(noise, keep_boxes=True)
    assert fine.pred_boxes.shape[0] == 2 * one.pred_boxes.shape[0]
    with pytest.raises(InvalidInputError, match='not of model.backbone.depth'):
        inferencer(onnx_file, cfg_options={'model.backbone.depth': 50})


@pytest.mark.parametrize('options', [dict(min_gain=0.02), dict(type='CentreGrouper', sigma=1.0)])
def test_boxes_are_grouped_again_without_the_network(eager, onnx_file, noise, options):
    mine, = eager.stream(noise, keep_boxes=True)
    expected = eager.regroup(mine, **options)
    for model in (inferencer(onnx_file), ExportedModel(onnx_file)):
        its, = model.stream(noise, keep_boxes=True)
        same_instances(expected, model.regroup(its, **options))
    with pytest.raises(InvalidInputError, match='keep_boxes=True'):
        model.regroup(next(model.stream(noise)))
    with pytest.raises(InvalidInputError, match='cannot be built.*colour'):
        model.regroup(its, colour='red')
    with pytest.raises(InvalidInputError, match="no grouper 'Other'"):
        model.regroup(its, type='Other')


def test_mmsegs_inference_model_takes_it(network, onnx_file, noise):
    model = load_model(onnx_file)
    expected, found = inference_model(network, noise), inference_model(model, noise)
    same_instances(expected.pred_instances, found.pred_instances)
    assert found.seg_logits.shape == expected.seg_logits.shape
    with pytest.raises(InvalidInputError, match='only predicts'):
        model(torch.zeros(1, 3, 32, 32), mode='loss')


def test_what_cannot_be_read_is_skipped_and_listed(onnx_file, photos, tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no picture')
    model = ExportedModel(onnx_file)
    assert len(model([photos[0], broken, photos[1]], 2, on_error='skip')['predictions']) == 2
    (name, reason), = model.failures
    assert name.endswith('/broken') and 'not an image' in reason
    with pytest.raises(InvalidInputError, match='not an image'):
        model(broken)


def test_input_is_prepared_as_the_pipeline_does(network, eager, noise):
    settings = settings_of(network)
    for picture in (noise, noise[:, :50], cv2.resize(noise, (333, 217))):
        data = eager.collate_fn([eager.pipeline(dict(img=picture))])
        expected = network.data_preprocessor(data)['inputs']
        assert torch.equal(normalise([resize_image(picture, settings)], settings), expected)


def test_other_numbers_weights_and_devices_are_refused(onnx_file, xml_file):
    with pytest.raises(InvalidInputError, match="leave precision='bf16' out"):
        inferencer(onnx_file, precision='bf16')
    with pytest.raises(InvalidInputError, match='leave some.pth out'):
        load_model(onnx_file, 'some.pth')
    for file in (onnx_file, xml_file):
        with pytest.raises(InvalidInputError, match="cannot compute on 'tpu'"):
            ExportedModel(file, device='tpu')


def test_models_are_told_apart(onnx_file, xml_file):
    marks = [open_predictor(model=file)[1] for file in (onnx_file, xml_file)]
    assert marks[0]['weights'] != marks[1]['weights'] and marks[0]['config'] == marks[1]['config']


def test_jobs_run_it_without_mmseg_unless_options_need_that(onnx_file):
    predictor, settings = open_predictor(model=str(onnx_file), weights=None, device='cpu', tile=64,
                                         precision='fp32', cfg_options=None, allow_pickle=False)
    assert isinstance(predictor, ExportedModel) and settings['tile'] == 64
    options = {'model.grouper.min_gain': 0.4}
    predictor, changed = open_predictor(model=str(onnx_file), cfg_options=options, tile=64)
    assert predictor.model.grouper.min_gain == 0.4 and changed['config'] != settings['config']
    for refused in (dict(precision='bf16'), dict(weights='some.pth')):
        with pytest.raises(InvalidInputError, match='leave'):
            open_predictor(model=str(onnx_file), **refused)


def test_what_is_missing_is_named(onnx_file, monkeypatch, tmp_path):
    with pytest.raises(MissingFileError, match='none.onnx: no such file'):
        ExportedModel(tmp_path / 'none.onnx')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(MissingPackageError, match=r'onnxruntime is not installed.*\[export\]'):
        ExportedModel(onnx_file)


@pytest.mark.parametrize('kind', FORMATS)
def test_predictions_of_the_runtime_are_written_in_all_formats(eager, onnx_file, noise, tmp_path,
                                                               kind):
    for name, model in (('eager', eager), ('bare', ExportedModel(onnx_file))):
        write_results(model.stream([noise]), kind, tmp_path / name, model.dataset_meta)
    mine, its = (sorted(file.relative_to(tmp_path / name) for file in (tmp_path / name).rglob('*'))
                 for name in ('eager', 'bare'))
    assert mine == its and mine
