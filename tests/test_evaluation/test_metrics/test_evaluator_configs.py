"""What configs ask of the metric."""
import pytest
from mmengine.config import Config

VOC = 'configs/instbox/{}instbox_fcrn-{}-d8_8xb2-20k_voc12-sbd-500x500{}.py'


@pytest.mark.parametrize('network', ['r50', 'r101'])
def test_one_training_is_evaluated_on_both_ground_truths_of_voc(repo, network):
    voc, sbd = (Config.fromfile(repo / VOC.format(folder, network, suffix))
                for folder, suffix in (('', ''), ('ablations/', '_sbd-val')))
    for cfg, prefix in ((voc, 'voc'), (sbd, 'sbd')):
        assert [metric.prefix for metric in cfg.test_evaluator] == [prefix] * 3
    for part in ('model', 'train_dataloader', 'val_dataloader', 'val_evaluator', 'default_hooks'):
        assert voc[part] == sbd[part]
    dataset = sbd.test_dataloader.dataset
    assert dataset.ann_file.endswith('val_sbd.txt')
    assert dataset.data_prefix.inst_map_path == 'SegmentationObjectSBD'
    assert dataset.type == voc.test_dataloader.dataset.type


def test_options_reach_the_metrics_of_a_list(repo):
    cfg = Config.fromfile(repo / 'configs/instbox/instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160.py')
    cfg.merge_from_dict({'test_evaluator.1.outfile_prefix': 'work_dirs/coco'})
    assert cfg.test_evaluator[1] == dict(type='InstCocoMetric', outfile_prefix='work_dirs/coco')
