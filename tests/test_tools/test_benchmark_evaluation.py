import json

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

TOOL = ('--images', 5, '--predictions', 7, '--size', 64, 96, '--scenes', 3)


@pytest.fixture
def bench(repo, monkeypatch):
    """The tool as a module."""
    monkeypatch.syspath_prepend(str(repo / 'tools' / 'benchmarks'))
    import evaluation
    return evaluation


@pytest.fixture
def main(bench, monkeypatch):
    """The tool's main function, in this process."""

    def run(*arguments):
        monkeypatch.setattr('sys.argv', ['evaluation.py', *map(str, arguments)])
        bench.main()

    return run


def test_scenes_are_as_a_segmentor_gives_them(bench):
    for seed in range(12):
        scene = bench.make_scene((120, 160), 20, np.random.default_rng(seed))
        inst_map, seg_map = scene.gt_inst_map.data[0], scene.gt_sem_seg.data[0]
        assert set(scene.gt_instances.ids.tolist()) == set(inst_map.unique().tolist()) - {0, 255}
        assert (inst_map == 255).any() and ((inst_map == 255) == (seg_map == 255)).all()
        for index, label in zip(scene.gt_instances.ids, scene.gt_instances.labels, strict=True):
            assert (seg_map[inst_map == index] == label + 1).all()
        masks = scene.pred_instances.masks
        assert masks.shape == (20, 120, 160) and masks.sum(0).max() == 1  # do not overlap
        assert (masks.any(0) == (scene.pred_sem_seg.data[0] > 0)).all()
        assert masks.any((1, 2)).sum() > 15


def test_a_seed_gives_the_same_scene_again(bench):
    one, same, other = (bench.make_scene((60, 80), 5, np.random.default_rng(seed))
                        for seed in (1, 1, 2))
    assert (one.pred_instances.masks == same.pred_instances.masks).all()
    assert not (one.gt_inst_map.data == other.gt_inst_map.data).all()


def test_official_annotations_are_near_those_of_the_maps(bench, tmp_path):
    scenes = [bench.make_scene((200, 300), 10, np.random.default_rng(seed)) for seed in range(6)]
    ann_file = bench.write_annotations(scenes, 6, tmp_path / 'a.json')
    evaluator = bench.Evaluator([bench.InstBoxMetric(), bench.InstCocoMetric(ann_file=ann_file)])
    evaluator.dataset_meta = bench.META
    for number, scene in enumerate(scenes):
        scene.pred_instances = InstanceData(
            masks=scene.gt_inst_map.data == scene.gt_instances.ids[:, None, None],
            labels=scene.gt_instances.labels,
            scores=torch.ones(len(scene.gt_instances)))
        scene.set_metainfo(dict(img_id=number))
        evaluator.process([scene])
    figures = evaluator.evaluate(len(scenes))
    assert figures['APr_0.9'] == 1 and figures['AP50'] > 0.8


@pytest.mark.parametrize('options', [(), ('--coco', '--panoptic'), ('--coco', '--official')])
def test_prints_and_writes_figures(main, options, tmp_path, capsys):
    out = tmp_path / 'new' / 'evaluation.json'
    main(*TOOL, *options, '--out', out)
    content = json.loads(out.read_text())
    assert content['settings']['coco'] == ('--coco' in options)
    figures, = content['rows']
    assert figures['seconds_total'] == pytest.approx(
        figures['seconds_process'] + figures['seconds_compute'])
    assert 0 < figures['ms_image'] / 1e3 < figures['seconds_process']
    assert 500 < figures['bytes_kept_image'] < 9000
    assert figures['bytes_peak'] > figures['bytes_peak_grown'] >= 0
    printed = capsys.readouterr().out
    assert '5 images with 7 predictions each' in content['note'] and str(out) in printed


@pytest.mark.parametrize('arguments, message', [
    (('--images', 0), '--images'), (('--size', 10, 10), '--size'), (('--official', ), '--coco')])
def test_senseless_arguments_are_refused(main, capsys, arguments, message):
    with pytest.raises(SystemExit, match='2'):
        main(*arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]
