"""Training mmdet's models as ours is trained: what works without compiled operators."""
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.registry import HOOKS
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample


@pytest.fixture
def tool(benchmarks):
    """The script as a module."""
    import peer_accuracy
    return peer_accuracy


@pytest.fixture
def models(benchmarks):
    """The module with the peers."""
    from support import peer_models
    return peer_models


@pytest.mark.parametrize('name', ['mask-rcnn', 'rtmdet-ins'])
def test_peers_have_our_backbone_categories_and_score_threshold(models, name):
    ours = models.load_config(models.our_config()).model.backbone
    detector = models.detector_config(name, 20)
    for key in ('norm_cfg', 'frozen_stages'):
        assert detector.backbone[key] == ours[key]
    assert detector.backbone.type == f'mmseg.{ours.type}'
    stages = dict(zip((1, 2, 4, 6), (24, 32, 96, 320), strict=True))
    assert list(detector.neck.in_channels) == [stages[i] for i in detector.backbone.out_indices]
    text = str(detector)
    assert "'num_classes': 20" in text and "'num_classes': 80" not in text
    assert 'SyncBN' not in text and 'checkpoint' not in text
    test_cfg = detector.test_cfg.get('rcnn', detector.test_cfg)
    assert test_cfg.score_thr == 0.05


def test_a_peer_is_trained_as_ours_but_for_the_network(tool, tmp_path):
    args = tool.parse_args(['mask-rcnn', '--iters', '50', '--minutes', '2.5',
                            '--work-dir', str(tmp_path)])
    cfg, ours = tool.train_config(args), tool.load_config(tool.our_config())
    for key in ('batch_size', 'sampler'):
        assert cfg.train_dataloader[key] == ours.train_dataloader[key]
    assert cfg.train_dataloader.dataset == ours.train_dataloader.dataset
    assert cfg.val_dataloader.dataset == ours.val_dataloader.dataset
    assert cfg.val_evaluator == ours.val_evaluator and cfg.load_from is None
    assert cfg.model.detector.backbone.init_cfg == dict(
        type='Pretrained', checkpoint=tool.WEIGHTS, prefix='backbone.')
    for key in ('mean', 'std', 'bgr_to_rgb'):
        assert cfg.model.data_preprocessor[key] == ours.model.data_preprocessor[key]
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.minutes) == (50, 2.5)
    assert cfg.param_scheduler == []
    assert cfg.work_dir == str(tmp_path / 'mask-rcnn_50-iters_2.5-minutes')


def test_a_peer_takes_over_the_data_of_another_config(tool, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(f"""_base_ = '{tool.our_config()}'
data = dict(_delete_=True, type='CocoInstDataset', data_root='shelves', ann_file='val.json',
            metainfo=dict(classes=('background', 'box', 'cup')), pipeline=[])
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
model = dict(decode_head=dict(num_classes=3))
""")
    cfg = tool.train_config(tool.parse_args(['mask-rcnn', '--minutes', '10', '--config',
                                             str(config), '--work-dir', str(tmp_path)]))
    assert cfg.train_dataloader.dataset.data_root == 'shelves'
    assert cfg.model.detector.roi_head.bbox_head.num_classes == 2


def test_each_training_has_a_folder_of_its_own(tool, tmp_path):
    args = tool.parse_args(['rtmdet-ins', '--iters', '5000', '--work-dir', str(tmp_path)])
    assert tool.run_folder(args) == tmp_path / 'rtmdet-ins_5000-iters'
    args = tool.parse_args(['mask-rcnn', '--minutes', '240', '--work-dir', str(tmp_path)])
    assert tool.run_folder(args) == tmp_path / 'mask-rcnn_240-minutes'


def test_a_peer_goes_on_from_its_own_checkpoint(tool, tmp_path):
    arguments = ['mask-rcnn', '--iters', '5', '--work-dir', str(tmp_path)]
    folder = tool.run_folder(tool.parse_args(arguments))
    folder.mkdir()
    torch.save(dict(state_dict={'detector.neck.weight': torch.zeros(1)}), folder / 'iter_3.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_3.pth'))
    assert not tool.train_config(tool.parse_args(arguments)).resume
    cfg = tool.train_config(tool.parse_args([*arguments, '--resume']))
    assert cfg.resume and cfg.load_from == str(folder / 'iter_3.pth')


@pytest.mark.parametrize('arguments', [['mask-rcnn'], ['--iters', '5'], ['yolo', '--iters', '5'],
                                       ['mask-rcnn', '--iters', '0']])
def test_senseless_arguments_are_refused(tool, arguments, capsys):
    with pytest.raises(SystemExit, match='2'):
        tool.parse_args(arguments)
    assert 'error:' in capsys.readouterr().err


def test_a_training_is_budgeted_and_stops_when_it_gets_no_better(tool, tmp_path):
    args = tool.parse_args(['mask-rcnn', '--minutes', '240', '--work-dir', str(tmp_path)])
    cfg = tool.train_config(args)
    assert cfg.train_cfg == dict(
        type='BudgetTrainLoop', max_iters=10**6, minutes=240, validations=16)
    hook, = (HOOKS.build(each) for each in cfg.custom_hooks)
    runner = SimpleNamespace(train_loop=SimpleNamespace(stop_training=False), logger=MagicMock())
    for score in (0., 0.1, 0.3, 0.2, 0.3, 0.2):
        hook.after_val_epoch(runner, {'APr_0.5': score})
        assert not runner.train_loop.stop_training
    hook.after_val_epoch(runner, {'APr_0.5': 0.3})  # a quarter of the validations later
    assert runner.train_loop.stop_training


def test_bands_around_objects_are_no_areas_of_void(models):
    inst_map = torch.zeros(60, 80, dtype=torch.int32)
    inst_map[10:40, 10:16] = 255
    assert models.void_areas(inst_map).shape == (0, 60, 80)
    inst_map[20:50, 40:70] = 255
    void, = models.void_areas(inst_map)
    assert void[20:50, 40:70].all() and void.sum() == 900


def test_region_features_are_taken_from_contiguous_maps(models):
    region = torch.nn.Module()
    region.forward = lambda maps, rois: [each.is_contiguous() for each in maps]
    region.register_forward_pre_hook(models.with_contiguous_maps)
    maps = torch.rand(2, 8, 5, 6).to(memory_format=torch.channels_last)
    assert region((maps, maps), None) == [True, True] and not maps.is_contiguous()


class EverythingNegative:
    """Assigns no prior to an object but the first."""

    def assign(self, pred_instances, gt_instances, gt_instances_ignore=None):
        assert gt_instances_ignore is None
        inds = torch.zeros(len(pred_instances.priors), dtype=torch.long)
        inds[0] = 1
        return SimpleNamespace(gt_inds=inds)


class SoftLabel(EverythingNegative):
    pass


@pytest.mark.parametrize('kind', [EverythingNegative, SoftLabel])
def test_negatives_in_void_do_not_count_and_positives_stay(models, kind):
    void = torch.zeros(1, 50, 50, dtype=torch.bool)
    void[0, 30:, :20] = True
    boxes = torch.tensor([[0., 30, 20, 50], [0., 30, 20, 50], [30., 0, 40, 10],
                          [-90., 60, -70, 80]])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    priors = torch.cat([centres, torch.full_like(centres, 8)], 1) if kind is SoftLabel else boxes
    assigner = models.VoidSparingAssigner(kind())
    found = InstanceData(priors=priors)
    ignored = InstanceData(bboxes=torch.zeros(1, 4), masks=void)
    assert assigner.assign(found, InstanceData(), ignored).gt_inds.tolist() == [1, -1, 0, -1]
    assert assigner.assign(found, InstanceData(), None).gt_inds.tolist() == [1, 0, 0, 0]
    assert assigner.assign(found, InstanceData(), ignored[:0]).gt_inds.tolist() == [1, 0, 0, 0]


def test_samples_become_mmdets_with_boxes_masks_and_void(models):
    inst_map = torch.zeros(1, 40, 60, dtype=torch.int32)
    inst_map[0, 5:15, 5:25], inst_map[0, 20:40, 30:60] = 7, 255
    sample = SegDataSample(metainfo=dict(ori_shape=(80, 120), img_shape=(40, 60)))
    sample.gt_inst_map = PixelData(data=inst_map)
    sample.gt_instances = InstanceData(ids=torch.tensor([7]), labels=torch.tensor([14]),
                                       bboxes=torch.tensor([[5., 5, 25, 15]]))
    found = models.to_mmdet(sample, (40, 60), annotated=True)
    assert found.gt_instances.labels.tolist() == [14]
    assert torch.equal(found.gt_instances.masks.to_tensor(torch.bool, 'cpu')[0], inst_map[0] == 7)
    assert torch.equal(found.ignored_instances.masks[0], inst_map[0] == 255)
    assert found.ori_shape == (80, 120) and found.batch_input_shape == (40, 60)
    assert 'gt_instances' not in models.to_mmdet(sample, (40, 60), annotated=False)


def test_rows_say_how_long_a_peer_was_trained(tool, tmp_path):
    folder = tmp_path / 'mask-rcnn_5000-iters'
    folder.mkdir()
    (folder / 'training.json').write_text(
        '{"iterations": 3000, "minutes": 150, "figures": {"AP50": 0.5}}')
    (folder / 'best_APr_0.5_iter_2500.pth').touch()
    assert tool.describe_run(folder) == dict(model='Mask R-CNN, MobileNetV2-FPN', iterations=3000,
                                             minutes=150, best_at=2500)
    assert tool.describe_run(tmp_path / 'ours') == {}


def test_figures_are_over_the_more_accurate_peer(tool):
    rows = [dict(model='ours', val_official_AP50=0.6, ms=1., over_ours=1.),
            dict(model='a', val_official_AP50=0.4, ms=8., over_ours=8.),
            dict(model='b', val_official_AP50=0.5, ms=4., over_ours=4.)]
    accuracy, speed = tool.figures(rows)
    assert accuracy.ratio == pytest.approx(1.2) and accuracy.peer == 0.5
    assert speed.ratio == 0.25 and speed.row()['goal'].endswith(', met')
    assert tool.figures(rows[:1]) == []


def test_it_says_that_operators_are_missing(tool, monkeypatch):
    try:
        import mmcv.ops  # noqa: F401
    except ImportError:
        monkeypatch.setattr('sys.argv', ['peer_accuracy.py'])
        with pytest.raises(SystemExit, match='no compiled operators here'):
            tool.main()
    else:
        pytest.skip('mmcv has its operators here')
