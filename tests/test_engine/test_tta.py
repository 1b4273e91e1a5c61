import pytest
from mmcv.transforms import Compose
from mmengine.config import Config

from mmseg_instbox.engine.tta import augmented_pipeline, use_tta

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
    load, views = cfg.test_dataloader.dataset.pipeline
    assert load == LOAD and views.type == 'TestTimeAug'
    scales, flips, *rest = views.transforms
    assert [(s.type, tuple(s.scale), s.keep_ratio) for s in scales] == [
        ('Resize', (416, 416), True)]
    assert [flip.prob for flip in flips] == [0, 1]
    assert rest == [[ANNOTATIONS], [PACK]]  # after resizing and flipping: they stay as they are
    assert cfg.model.type == 'InstBoxTTAModel'


@pytest.mark.parametrize('resize, expected', [
    (dict(scale_factor=2.0), dict(scale_factor=1.0)),
    (dict(scale_factor=(2, 1.0)), dict(scale_factor=(1.0, 0.5))),
    (dict(scale=100), dict(scale=(50, 50))), (dict(scale=(2049, 101)), dict(scale=(1024, 50)))])
def test_every_way_to_say_a_scale(resize, expected):
    pipeline = augmented_pipeline([LOAD, dict(type='Resize', **resize), PACK], ratios=(0.5, ))
    assert pipeline[1]['transforms'][0] == [dict(type='Resize', **expected)]


@pytest.mark.parametrize('pipeline', [[LOAD, ANNOTATIONS, PACK], [LOAD, PACK]])
def test_a_pipeline_that_does_not_resize(pipeline, tiny_voc):
    """Views of the sizes asked for, and annotations at the size of the file."""
    built = Compose(augmented_pipeline(pipeline, ratios=(0.5, 2)))
    results = built(dict(
        img_path=str(tiny_voc / 'JPEGImages' / '000.jpg'), seg_fields=[], num_classes=3,
        seg_map_path=str(tiny_voc / 'SegmentationClass' / '000.png'),
        inst_map_path=str(tiny_voc / 'SegmentationObject' / '000.png'), thing_ids=[1, 2]))
    assert [tuple(img.shape[1:]) for img in results['inputs']] == [(32, 32)] * 2 + [(128, 128)] * 2
    first, *others = results['data_samples']
    assert [sample.flip for sample in results['data_samples']] == [False, True] * 2
    if ANNOTATIONS in pipeline:
        assert first.gt_inst_map.shape == (64, 64)
        for sample in others:
            assert (sample.gt_inst_map.data == first.gt_inst_map.data).all()
    assert (results['inputs'][0].flip(-1) == results['inputs'][1]).all()


def test_annotations_that_would_be_mirrored_are_refused():
    with pytest.raises(ValueError, match='loads annotations before it resizes'):
        use_tta(config([LOAD, ANNOTATIONS, dict(type='Resize', scale=(64, 64)), PACK]))


def test_a_wrapped_data_set_is_refused():
    cfg = Config(dict(model=dict(), test_dataloader=dict(
        dataset=dict(type='ConcatDataset', datasets=[]))))
    with pytest.raises(ValueError, match='its ConcatDataset has none'):
        use_tta(cfg)
