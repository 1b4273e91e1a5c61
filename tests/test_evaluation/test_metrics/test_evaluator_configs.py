"""What configs ask of the metric."""
import pytest
from mmengine.config import Config

VOC = 'configs/instbox/instbox_fcrn-{}-d8_8xb2-20k_voc12-sbd-500x500{}.py'


def test_the_best_checkpoint_is_chosen_by_a_figure_that_is_reported(repo):
    for file in sorted((repo / 'configs' / 'instbox').glob('*.py')):
        cfg = Config.fromfile(file)
        evaluators = cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [
            cfg.val_evaluator]
        prefixes = [f'{each.prefix}/' if each.get('prefix') else '' for each in evaluators]
        assert cfg.default_hooks.checkpoint.save_best in [
            f'{prefix}APr_0.5' for prefix in prefixes], file.name


@pytest.mark.parametrize('network', ['r50', 'r101'])
def test_one_training_is_evaluated_on_both_ground_truths_of_voc(repo, network):
    voc, sbd = (Config.fromfile(repo / VOC.format(network, suffix)) for suffix in ('', '_sbd-val'))
    assert (voc.test_evaluator.prefix, sbd.test_evaluator.prefix) == ('voc', 'sbd')
    for part in ('model', 'train_dataloader', 'val_dataloader', 'val_evaluator', 'default_hooks'):
        assert voc[part] == sbd[part]
    dataset = sbd.test_dataloader.dataset
    assert dataset.ann_file.endswith('val_sbd.txt')
    assert dataset.data_prefix.inst_map_path == 'SegmentationObjectSBD'
    assert dataset.type == voc.test_dataloader.dataset.type
