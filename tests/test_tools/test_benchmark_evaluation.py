import json

import numpy as np
import pytest


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


@pytest.mark.parametrize('options', [(), ('--coco', '--panoptic')])
def test_prints_and_writes_figures(main, options, tmp_path, capsys):
    out = tmp_path / 'new' / 'evaluation.json'
    main('--quick', *options, '--out', out)
    content = json.loads(out.read_text())
    assert content['settings']['coco'] == ('--coco' in options)
    figures, = content['rows']
    assert figures['seconds_total'] == pytest.approx(
        figures['seconds_process'] + figures['seconds_compute'])
    assert 0 < figures['ms_image'] / 1e3 < figures['seconds_process']
    assert 500 < figures['bytes_kept_image'] < 20_000  # 20 masks are 3.75 MB
    assert figures['bytes_peak'] > figures['bytes_peak_grown'] >= 0
    printed = capsys.readouterr().out
    assert '3 images with 20 predictions each' in content['note'] and str(out) in printed
