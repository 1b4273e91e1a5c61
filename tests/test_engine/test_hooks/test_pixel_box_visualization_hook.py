import warnings
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmseg.registry import HOOKS, VISUALIZERS

from mmseg_instbox.engine import load_config


@pytest.fixture(scope='module')
def two_lines(repo):
    """The two lines of docs/visualization.md, for four small images, with a name of their own."""
    page = (repo / 'docs' / 'visualization.md').read_text()
    block = page.split('```python\n')[1].split('```')[0]
    return block + ("visualizer.update(name='{name}', min_size=64)\n"
                    "default_hooks['visualization'].update(interval=3)\n")


def picture_names(folder):
    return sorted(path.name for path in folder.rglob('*.png'))


def test_training_writes_pictures_of_the_same_images_at_each_validation(
        make_config, train, two_lines, tmp_path):
    config = make_config(two_lines.format(name='hook_local'))
    cfg = load_config(str(config))
    assert cfg.visualizer.vis_backends == [dict(type='LocalVisBackend')]  # inherited
    train(config, tmp_path, dict(train_cfg=dict(max_iters=2, val_interval=1)))
    # four images, of which the first and the fourth are drawn
    assert picture_names(tmp_path) == [
        'val_004_1.png', 'val_004_2.png', 'val_007_1.png', 'val_007_2.png']
    picture = cv2.imread(str(next(tmp_path.rglob('val_004_2.png'))))
    assert picture.shape[1] == 128 and picture.shape[0] > 128  # two columns, two rows
    assert np.ptp(picture) > 100


def test_tensorboard_gets_the_pictures_by_iteration(make_config, train, two_lines, tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    lines = two_lines.format(name='hook_board') + (
        "vis_backends = [dict(type='TensorboardVisBackend'), dict(type='LocalVisBackend')]\n"
        'visualizer.update(vis_backends=vis_backends)\n')
    train(make_config(lines), tmp_path, dict(train_cfg=dict(max_iters=2, val_interval=1)))
    events = EventAccumulator(str(next(tmp_path.rglob('events.out.*')).parent)).Reload()
    assert events.Tags()['images'] == ['val_004', 'val_007']
    for name in ('val_004', 'val_007'):
        images = events.Images(name)
        assert [image.step for image in images] == [1, 2]
        drawn = cv2.imdecode(np.frombuffer(images[1].encoded_image_string, np.uint8), 1)
        written = cv2.imread(str(next(tmp_path.rglob(f'{name}_2.png'))))
        assert np.array_equal(drawn, written)


def test_testing_draws_every_image(make_config, two_lines, tmp_path):
    cfg = load_config(str(make_config(two_lines.format(name='hook_test'))))
    cfg.work_dir, cfg.log_level, cfg.experiment_name = str(tmp_path), 'ERROR', 'hook_test'
    cfg.model.backbone.norm_cfg = cfg.model.decode_head.norm_cfg = dict(type='BN')
    cfg.model.box_head.norm_cfg = dict(type='BN')
    Runner.from_cfg(cfg).test()
    assert len(picture_names(tmp_path)) == 4


def build_hook(visualizer='PixelBoxVisualizer', **kwargs):
    name = f'hook_{visualizer}_{len(Visualizer._instance_dict)}'
    VISUALIZERS.build(dict(type=visualizer, name=name))  # the hook takes the last that was made
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return HOOKS.build(dict(type='PixelBoxVisualizationHook', **kwargs))


def fake_runner(**parts):
    model = SimpleNamespace(test_cfg=ConfigDict(mode='whole'), grouper=SimpleNamespace(vote=1),
                            **parts)
    return SimpleNamespace(model=SimpleNamespace(module=SimpleNamespace(module=model))), model


def test_the_model_keeps_its_boxes_and_the_visualizer_gets_its_grouper():
    hook, (runner, model) = build_hook(), fake_runner(box_head=1)
    hook.before_run(runner)
    assert model.test_cfg == dict(mode='whole', keep_boxes=True)
    assert hook._visualizer.grouper is model.grouper


def test_a_grouper_without_votes_and_another_visualizer_are_left_alone():
    hook, (runner, model) = build_hook(), fake_runner(box_head=1)
    model.grouper, before = SimpleNamespace(), hook._visualizer.grouper
    hook.before_run(runner)
    assert hook._visualizer.grouper is before
    plain = build_hook('InstBoxLocalVisualizer')
    plain.before_run(runner)
    assert not hasattr(plain._visualizer, 'grouper')


def test_switched_off_it_does_nothing():
    hook, (runner, model) = build_hook(draw=False), fake_runner(box_head=1)
    hook.before_run(runner)
    hook.after_val_iter(runner, 0, {}, [])
    assert model.test_cfg == dict(mode='whole')


def test_a_model_without_boxes_is_refused():
    with pytest.raises(ValueError, match='SimpleNamespace predicts none: use SegVisualizationHook'):
        build_hook().before_run(fake_runner()[0])
