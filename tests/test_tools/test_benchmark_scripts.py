"""Each benchmark of speed runs with ``--quick`` and writes plausible figures."""
import json
import math
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from mmseg_instbox.cli.main import cli


@pytest.fixture
def run_benchmark(benchmarks, monkeypatch, tmp_path):
    """A function that runs a script's ``main`` here and returns what it wrote."""
    out = tmp_path / 'figures.json'

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments), '--quick', '--out',
                                          str(out)])
        import_module(name).main()
        return json.loads(out.read_text())

    return run


def fine(rows, key='ms'):
    return rows and all(math.isfinite(row[key]) and row[key] > 0 for row in rows)


def test_training_step(run_benchmark, monkeypatch):
    import training_step
    asked = []

    def memory_of(*arguments):
        asked.append(arguments)
        return dict(peak_MiB=100. + 25 * len(asked), grown_MiB=10. * len(asked))

    monkeypatch.setattr(training_step, 'memory_of', memory_of)
    content = run_benchmark('training_step', '--device', 'cpu')
    ours, fcn, auxiliary = content['rows']
    assert (ours['model'], fcn['model']) == ('ours', 'FCN') and fine(content['rows'])
    assert fcn['peak_ours_over_it'] == 125 / 150 and auxiliary['grown_ours_over_it'] == 1 / 3
    levers, = content['tables'].values()
    assert fine(levers) and levers[0]['over_the_first'] == 1
    assert [figure['ratio'] for figure in content['figures']] == [fcn['ours_over_it'], 125 / 150]


def test_memory_of_a_training_step_is_that_of_a_process_of_its_own(benchmarks, monkeypatch):
    import training_step
    from support import common
    monkeypatch.setattr(sys, 'argv', ['training_step.py', '--quick', '--device', 'cpu'])
    held = torch.ones(1000 * common.MIB // 4)
    found = training_step.memory_of('FCN', 'mobilenet-v2-d16', training_step.parse_args())
    assert 0 < found['grown_MiB'] < found['peak_MiB'] < 1000 < common.peak_memory()
    assert held.sum() > 0


def test_both_sides_of_a_training_step_have_the_same_backbone(benchmarks):
    import training_step
    for backbone in training_step.PAIRS:
        ours = training_step.model_config('ours', backbone)['backbone']
        theirs = training_step.model_config('FCN and auxiliary head', backbone)
        activation = ours.pop('act_cfg', None)
        assert theirs['backbone'] == ours and activation in (None, dict(type='LeanReLU6'))
        assert {theirs[head]['type'] for head in ('decode_head', 'auxiliary_head')} == {'FCNHead'}
        assert 'auxiliary_head' not in training_step.model_config('FCN', backbone)
        assert 'SyncBN' not in str(theirs) and 'Pretrained' not in str(theirs)


def test_inference(run_benchmark):
    content = run_benchmark('inference', '--device', 'cpu')
    assert fine(content['rows']) and len(content['rows']) == 3
    stages = {row['stage']: row['ms'] for row in content['tables']['By stage, one image at a time']}
    assert set(stages) == {
        'decode', 'resize', 'normalise and pad', 'backbone', 'category head', 'box head',
        'category map', 'grouping', 'masks', 'between these', 'encoding (run lengths)', 'all'}
    assert sum(value for stage, value in stages.items() if stage != 'all') == pytest.approx(
        stages['all'])


def test_images_are_of_the_whole_list(benchmarks):
    import inference
    chosen = inference.choose_images([Path(f'{number}.jpg') for number in range(59)])
    assert len(chosen) == 30 and (chosen[0], chosen[-1]) == ('0.jpg', '57.jpg')


def test_category_networks_give_the_category_map_of_the_whole(benchmarks, repo):
    """What is compared does the same work: the category maps are those of our predictions."""
    import inference
    inferencer = inference.InstBoxInferencer(device='cpu', show_progress=False)
    batch = inference.prepare(inferencer, str(repo / 'demo' / 'samples' / 'chelsea.jpg'))
    with torch.no_grad():
        ours, = inference.our_category_map(inferencer.model, dict(batch))
        theirs, = inference.mmseg_category_map(inferencer.model, dict(batch))
        whole, = inferencer.forward(dict(batch))
    assert torch.equal(ours, whole.pred_sem_seg.data[0])
    assert (theirs.pred_sem_seg.data[0] == ours).float().mean() > 0.98


def test_scaling(run_benchmark):
    content = run_benchmark('scaling')
    assert [row['axis'] for row in content['rows']] == ['dense images']
    rows = content['tables']['Grouping and masks']
    assert [row['at'] for row in rows] == ['256 px', '512 px'] and fine(rows, 'grid_ms')
    assert all(row['found'] >= row['objects'] for row in rows)
    time, memory = content['figures'][:2]
    assert time['ours'] == rows[1]['masks_ms'] and memory['ours'] == rows[1]['masks_MiB']
    call = content['figures'][-1]
    assert '640 x 424' in call['what'] and call['ours'] > 0 and call['at_most'] == 10


def test_evaluated_predictions_are_as_a_segmentor_gives_them(benchmarks):
    import scaling
    for index in range(12):
        sample = scaling.make_prediction(index, 20)
        inst_map, seg_map = sample.gt_inst_map.data[0], sample.gt_sem_seg.data[0]
        assert set(sample.gt_instances.ids.tolist()) == set(inst_map.unique().tolist()) - {0, 255}
        assert ((inst_map == 255) == (seg_map == 255)).all()
        for each, label in zip(sample.gt_instances.ids, sample.gt_instances.labels, strict=True):
            assert (seg_map[inst_map == each] == label + 1).all()
        masks = sample.pred_instances.masks
        assert masks.any((1, 2)).all() and masks.sum(0).max() == 1  # do not overlap
        assert (masks.any(0) == (sample.pred_sem_seg.data[0] > 0)).all()


def test_the_cost_of_evaluation(benchmarks):
    import scaling
    figures = scaling.measure_evaluation(3, 300)
    assert figures['images_s'] > 0 and figures['figures_s'] > 0


def test_large_image(run_benchmark):
    content = run_benchmark('large_image', '--device', 'cpu')
    row, = content['rows']
    assert (row['width'], row['height'], row['left_out']) == (400, 300, 0) and row['instances'] > 0
    assert row['all_seconds'] > row['seconds'] > 0
    assert row['all_peak_GB'] >= row['peak_GB'] >= row['before_GB'] > 0
    assert [each['ours'] for each in content['figures']] == [row['all_seconds'], row['all_peak_GB']]


@pytest.mark.parametrize('growth, exponent', [(4, 1), (16, 2)])
def test_exponents_are_of_the_two_largest_values(benchmarks, growth, exponent):
    import scaling
    axis = scaling.Axis('a', 'px', (1, 2, 4, 8), None, power=2)
    rows = [dict(at=f'{value} px', masks_ms=ms) for value, ms in ((1, 9.), (2, 1.), (4, growth))]
    assert scaling.exponents(axis, rows)['masks_ms'] == pytest.approx(exponent)


def test_startup(run_benchmark, monkeypatch):
    from support import common
    asked = []
    monkeypatch.setattr(common, 'run_script', lambda *command: asked.append(command))
    content = run_benchmark('startup')
    rows = {row['what']: row for row in content['rows']}
    assert rows['import torch, mmseg.models']['over_the_import'] == 1
    assert len(content['figures']) == 6 and all(each['ours'] for each in content['figures'])
    commands = [command[2:] for command in asked if command[:2] == ('-m', 'mmseg_instbox.cli')]
    assert len(commands) == 1 + 2 * 5  # export, then a round of warm-up and one that counts
    parse(commands)


def parse(commands):
    """Fails if a command of ``instbox`` does not have the arguments."""
    for name, *arguments in commands:
        if name != '--help':
            cli.get_command(None, name).make_context(
                name, [str(each) for each in arguments], resilient_parsing=True)


def test_bulk_leaves_the_start_out(run_benchmark, monkeypatch):
    import bulk
    from support import common
    asked = []
    monkeypatch.setattr(bulk, 'has_fast_bfloat16', lambda _: False)
    monkeypatch.setattr(common, 'run_script',
                        lambda *command, variables: asked.append((command[2:], variables)))
    content = run_benchmark('bulk', '--device', 'cpu')
    assert fine(content['rows'], 'images_a_second') and content['rows'][0]['ratio'] == 1
    assert [('ray' in command) for command, _ in asked] == [False, False, True, True]
    parse([command for command, _ in asked])

    monkeypatch.setattr(bulk, 'seconds', lambda engine, images, args: (
        5. if engine == 'local' else 20.) + int(images.name) / (10 if engine == 'local' else 12))
    one, ray = run_benchmark('bulk', '--device', 'cpu', '--numbers', 2, 12)['rows']
    assert one['images_a_second'] == pytest.approx(10) and one['start_s'] == pytest.approx(5)
    assert ray['ratio'] == pytest.approx(1.2) and ray['start_s'] == pytest.approx(20)
    monkeypatch.setattr(bulk, 'has_fast_bfloat16', lambda _: True)
    rows = run_benchmark('bulk', '--device', 'cpu', '--numbers', 2, 12)['rows']
    assert rows[2]['engine'].endswith('--precision bf16') and rows[2]['ratio'] == pytest.approx(1.2)


def test_peers_says_that_operators_are_missing(benchmarks, monkeypatch):
    import peers
    try:
        import mmcv.ops  # noqa: F401
    except ImportError:
        monkeypatch.setattr(sys, 'argv', ['peers.py'])
        with pytest.raises(SystemExit, match='no compiled operators here'):
            peers.main()
    else:
        pytest.skip('mmcv has its operators here')


def test_the_highest_scores_pass_whatever_they_are(benchmarks):
    import peers
    scores = torch.tensor([[0.2, 0.1], [0.4, 0.3]])
    assert torch.equal(scores > peers.Highest(2), torch.tensor([[False, False], [True, True]]))
    assert (scores > peers.Highest(9)).all()


def test_our_r50_groups_what_the_trained_model_says(benchmarks, monkeypatch, repo):
    import peers
    monkeypatch.setattr(sys, 'argv', ['peers.py', '--size', '96', '--device', 'cpu', '--images',
                                      str(repo / 'demo' / 'samples' / 'chelsea.jpg')])
    args = peers.parse_args()
    counts, ways = peers.make_ours(args)
    file, = counts
    assert Path(file).name == 'chelsea.jpg'
    assert len(ways[peers.TITLE](file)) <= 20 and ways[peers.BACKBONE](file)[-1].shape[1] == 2048


@pytest.mark.parametrize('name', ['CondInst, R50-FPN', 'RTMDet-Ins-m, CSPNeXt'])
def test_peers_have_our_categories_and_random_weights(benchmarks, name):
    import peers
    text = str(peers.peer_config(name))
    assert "'num_classes': 20" in text and "'num_classes': 80" not in text
    assert 'SyncBN' not in text and 'Pretrained' not in text
