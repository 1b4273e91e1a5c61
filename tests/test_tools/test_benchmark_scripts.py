"""Each benchmark of speed runs, at the smallest size, and writes figures that can be."""
import json
import math
import sys
from importlib import import_module

import pytest
import torch

from mmseg_instbox.datasets.shapes_generator import generate_sample


@pytest.fixture
def run_benchmark(repo, monkeypatch, tmp_path, capsys):
    """A function that runs a script's ``main`` here and gives what it wrote."""
    monkeypatch.syspath_prepend(str(repo / 'tools' / 'benchmarks'))
    threads, out = torch.get_num_threads(), tmp_path / 'figures.json'

    def run(name, *arguments):
        command = [f'{name}.py', *map(str, arguments), '--threads', '1', '--device', 'cpu',
                   '--out', str(out)]
        monkeypatch.setattr(sys, 'argv', command)
        import_module(name).main()
        return json.loads(out.read_text())

    yield run
    torch.set_num_threads(threads)


def fine(rows, key='ms'):
    return rows and all(math.isfinite(row[key]) and row[key] > 0 for row in rows)


def test_training_step(run_benchmark, monkeypatch):
    import common
    asked = []

    def memory_of(script, *arguments):
        asked.append(arguments)
        return dict(peak_mib=100. + 25 * len(asked), grown_mib=10. * len(asked))

    monkeypatch.setattr(common, 'memory_of', memory_of)
    content = run_benchmark('training_step', '--backbones', 'mobilenet-v2-d16', '--crop', 64,
                            '--batch', 2, '--repeats', 1)
    ours, fcn, auxiliary = content['rows']
    assert (ours['model'], fcn['model']) == ('ours', 'FCN') and fine(content['rows'])
    assert fcn['peak_ours_over_it'] == 125 / 150 and auxiliary['grown_ours_over_it'] == 1 / 3
    assert all('--memory-only' in arguments for arguments in asked) and len(asked) == 3
    levers, = content['tables'].values()
    assert fine(levers) and levers[0]['over_the_first'] == 1
    assert [goal['value'] for goal in content['goals']] == [fcn['ours_over_it'], 125 / 150]


def test_both_sides_of_a_training_step_have_the_same_backbone(run_benchmark):
    import training_step
    for backbone in training_step.PAIRS:
        ours = training_step.our_config(backbone)['backbone']
        theirs = training_step.their_config(backbone, auxiliary=True)
        activation = ours.pop('act_cfg', None)
        assert theirs['backbone'] == ours and activation in (None, dict(type='LeanReLU6'))
        assert {theirs[head]['type'] for head in ('decode_head', 'auxiliary_head')} == {'FCNHead'}
        assert 'SyncBN' not in str(theirs) and 'Pretrained' not in str(theirs)


def test_inference(run_benchmark, tmp_path, repo):
    content = run_benchmark('inference', '--images', repo / 'demo' / 'samples', '--list',
                            write(tmp_path / 'list.txt', 'chelsea'), '--repeats', 1)
    assert fine(content['rows']) and len(content['rows']) == 3
    stages = {row['stage']: row['ms'] for row in content['tables']['By stage, one image at a time']}
    assert {'decode', 'backbone', 'box head', 'grouping', 'masks'} < set(stages)
    assert sum(value for stage, value in stages.items() if stage != 'all') == pytest.approx(
        stages['all'])
    assert fine(content['tables']['Levers of our network'])


def write(path, text):
    path.write_text(text)
    return path


def test_category_networks_give_the_label_map_of_the_whole(run_benchmark, repo):
    """What is compared does the same work: their label maps are those of our predictions."""
    import inference
    inferencer = inference.InstBoxInferencer(device='cpu', show_progress=False)
    batch, = inference.prepare(inferencer, [str(repo / 'demo' / 'samples' / 'chelsea.jpg')])
    with torch.no_grad():
        ours, = inference.our_label_map(inferencer.model, dict(batch))
        theirs, = inference.mmseg_label_map(inferencer.model, dict(batch))
        whole, = inferencer.forward(dict(batch))
    assert torch.equal(ours, whole.pred_sem_seg.data[0])
    assert (theirs.pred_sem_seg.data[0] == ours).float().mean() > 0.98


def test_data_loading(run_benchmark, tmp_path):
    root = make_voc(tmp_path)
    content = run_benchmark('data_loading', '--data-root', root, '--workers', 0, 1, '--crop', 64,
                            '--iterations', 2, '--batch', 2)
    assert [row['workers'] for row in content['rows']] == [0, 1]
    assert fine(content['rows'], 'step_ms')
    assert all(0 <= row['waiting_share'] < 1 for row in content['rows'])
    assert content['goals'][0]['value'] == content['rows'][0]['waiting_share']


def make_voc(root):
    """Four generated images in VOC's layout."""
    from PIL import Image
    names = [f'image_{i}' for i in range(4)]
    for i, name in enumerate(names):
        parts = dict(zip(('JPEGImages', 'SegmentationClass', 'SegmentationObject'),
                         generate_sample(0, 0, i, 96), strict=True))
        for folder, array in parts.items():
            (root / folder).mkdir(exist_ok=True)
            suffix = 'jpg' if folder == 'JPEGImages' else 'png'
            Image.fromarray(array).save(root / folder / f'{name}.{suffix}')
    lists = root / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'trainaug.txt').write_text('\n'.join(names))
    return root


def test_startup(run_benchmark, monkeypatch):
    import common
    import startup
    asked = []

    def run_script(*command):
        asked.append(command)
        return '0.25\n'

    monkeypatch.setattr(common, 'run_script', run_script)
    content = run_benchmark('startup', '--repeats', 1)
    times = {row['what']: row['ms'] for row in content['rows']}
    assert times['import mmseg'] == 250 and set(startup.WAYS) < set(times)
    assert content['goals'][1]['value'] == 0
    assert ('-m', 'mmseg_instbox.cli', '--help') in asked


def test_peers_says_that_operators_are_missing(run_benchmark):
    try:
        import mmcv.ops  # noqa: F401
    except ImportError:
        with pytest.raises(SystemExit, match='no compiled operators here'):
            run_benchmark('peers')
    else:
        pytest.skip('mmcv has its operators here')


def test_the_highest_scores_pass_whatever_they_are(run_benchmark):
    import peers
    scores = torch.tensor([[0.2, 0.1], [0.4, 0.3]])
    assert torch.equal(scores > peers.Highest(2), torch.tensor([[False, False], [True, True]]))
    assert (scores > peers.Highest(9)).all()
