"""Evaluations, and how both kinds of runs read checkpoints: as data, unless they are trusted."""
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmseg_instbox.engine import testing_config as config_for_testing
from mmseg_instbox.engine import training_config
from mmseg_instbox.engine.testing import draw_predictions, mirrored_pipeline, use_tta


@pytest.fixture
def pickled(tmp_path):
    """A checkpoint as MMEngine writes it: with the histories of its logger."""
    hub = dict(log_scalars=dict(loss=HistoryBuffer([1.], [1])), runtime_info={}, resumed_keys={})
    torch.save(dict(meta=dict(iter=2), state_dict={}, message_hub=hub), tmp_path / 'iter_2.pth')
    return str(tmp_path / 'iter_2.pth')


def test_training_and_testing_refuse_pickled_objects(tiny_config, pickled, tmp_path):
    (tmp_path / 'last_checkpoint').write_text(pickled)
    for settings in (dict(resume=pickled), dict(resume='auto'),
                     dict(cfg_options={'load_from': pickled})):
        settings['work_dir'] = str(tmp_path)
        with pytest.raises(ValueError, match='HistoryBuffer.*--allow-pickle'):
            training_config(str(tiny_config), **settings)
        training_config(str(tiny_config), **settings, allow_pickle=True)
    with pytest.raises(ValueError, match='HistoryBuffer.*--allow-pickle'):
        config_for_testing(str(tiny_config), pickled)
    config_for_testing(str(tiny_config), pickled, allow_pickle=True)


def test_a_missing_checkpoint_is_named(tiny_config):
    with pytest.raises(FileNotFoundError, match="no checkpoint 'gone.pth'"):
        training_config(str(tiny_config), resume='gone.pth')
    with pytest.raises(FileNotFoundError, match="no checkpoint 'gone.pth'"):
        config_for_testing(str(tiny_config), 'gone.pth')


def test_drawings_go_to_the_directory_asked_for(tmp_path):
    cfg = Config(dict(
        default_hooks=dict(visualization=dict(type='SegVisualizationHook')),
        visualizer=dict(vis_backends=[dict(type='LocalVisBackend'),
                                      dict(type='TensorboardVisBackend')])))
    draw_predictions(cfg, str(tmp_path), False, 2)
    assert cfg.default_hooks.visualization.draw is True
    assert cfg.visualizer.vis_backends == [
        dict(type='TensorboardVisBackend'),
        dict(type='LocalVisBackend', img_save_dir=str(tmp_path))]


def test_drawings_need_the_hook():
    with pytest.raises(ValueError, match='SegVisualizationHook'):
        draw_predictions(Config(dict(default_hooks=dict())), 'pictures', False, 2)


def test_without_a_display_a_test_that_shows_does_not_start(tiny_config, pickled, monkeypatch):
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'agg')
    with pytest.raises(ValueError, match='no display.*--show-dir'):
        config_for_testing(tiny_config, pickled, show=True, allow_pickle=True)


LOAD, ANNOTATIONS, PACK = (
    dict(type=name) for name in ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs'))


def config(pipeline, **more) -> Config:
    return Config(dict(
        model=dict(type='InstBoxSegmentor', thing_ids=[1]),
        test_dataloader=dict(dataset=dict(type='InstBoxDataset', pipeline=pipeline)), **more))


def test_what_the_config_says_counts():
    given = [LOAD, PACK]
    cfg = config([LOAD, ANNOTATIONS, PACK], tta_pipeline=given,
                 tta_model=dict(type='InstBoxTTAModel', box_merge='median'))
    use_tta(cfg)
    assert cfg.test_dataloader.dataset.pipeline == given
    assert cfg.model == dict(type='InstBoxTTAModel', box_merge='median',
                             module=dict(type='InstBoxSegmentor', thing_ids=[1]))


def test_a_config_that_says_nothing_gets_mirror_images():
    cfg = config([LOAD, dict(type='Resize', scale=(416, 416), keep_ratio=True), ANNOTATIONS, PACK])
    use_tta(cfg)
    load, resize, views = cfg.test_dataloader.dataset.pipeline
    assert load == LOAD and views.type == 'TestTimeAug'
    assert resize == dict(type='Resize', scale=(416, 416), keep_ratio=True)
    flips, *rest = views.transforms
    assert [flip.prob for flip in flips] == [0, 1]
    assert rest == [[ANNOTATIONS], [PACK]]  # after resizing and flipping: they stay as they are
    assert cfg.model.type == 'InstBoxTTAModel'


@pytest.mark.parametrize('pipeline', [[LOAD, ANNOTATIONS, PACK], [LOAD, PACK]])
def test_a_pipeline_that_does_not_resize(pipeline, tiny_voc):
    """Views of the size of the image, and annotations that are not mirrored."""
    built = Compose(mirrored_pipeline(pipeline))
    results = built(dict(
        img_path=str(tiny_voc / 'JPEGImages' / '000.jpg'), seg_fields=[], num_classes=3,
        seg_map_path=str(tiny_voc / 'SegmentationClass' / '000.png'),
        inst_map_path=str(tiny_voc / 'SegmentationObject' / '000.png'), thing_ids=[1, 2]))
    assert [tuple(img.shape[1:]) for img in results['inputs']] == [(64, 64)] * 2
    first, second = results['data_samples']
    assert [first.flip, second.flip] == [False, True]
    if ANNOTATIONS in pipeline:
        assert (second.gt_inst_map.data == first.gt_inst_map.data).all()
    assert (results['inputs'][0].flip(-1) == results['inputs'][1]).all()


def test_annotations_that_would_be_mirrored_are_refused():
    with pytest.raises(ValueError, match='loads annotations before it resizes'):
        use_tta(config([LOAD, ANNOTATIONS, dict(type='Resize', scale=(64, 64)), PACK]))


def test_a_wrapped_data_set_is_refused():
    cfg = Config(dict(model=dict(), test_dataloader=dict(
        dataset=dict(type='ConcatDataset', datasets=[]))))
    with pytest.raises(ValueError, match='its ConcatDataset has none'):
        use_tta(cfg)
