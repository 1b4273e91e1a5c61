"""What the benchmarks share, and the page that is made of their figures."""
import argparse
import json
import sys

import numpy as np
import pytest
import torch


@pytest.fixture
def common(benchmarks):
    from support import common
    return common


def test_contestants_take_turns_and_the_warm_up_does_not_count(common):
    calls = []
    times = common.alternate({'a': lambda: calls.append('a'), 'b': lambda: calls.append('b')},
                             repeats=3)
    assert ''.join(calls) == 'ab' * 4
    assert {name: len(values) for name, values in times.items()} == dict(a=3, b=3)
    assert min(min(values) for values in times.values()) >= 0


def test_a_ratio_pairs_the_runs_of_a_round(common):
    # the machine gets slower and slower, and slows both: the ratio does not see it
    slowing = [1., 2., 4., 8., 16.]
    faster = dict(slow=slowing, fast=[each * 0.5 for each in slowing])
    assert common.compare(faster, 'model', 'over', True)[1]['quartiles'] == '0.50 to 0.50'
    row = common.compare(dict(a=[1.] * 5, b=[1., 2., 3., 4., 5.]), 'model', 'over_a', True)[1]
    assert row == dict(model='b', ms=3, over_a=3, quartiles='2.00 to 4.00')
    assert common.compare(dict(a=[3.], b=[2.]), 'model', 'over')[1]['quartiles'] == '1.50 to 1.50'


@pytest.mark.parametrize(('goal', 'ours', 'ratio', 'text'), [
    (dict(at_most=0.8), 5., 0.8, 'at most 0.800, met'),
    (dict(at_most=0.8), 0.5, 0.81, 'at most 0.800, not met'),
    (dict(at_least=2.), 2., None, 'at least 2.00, met'),
    (dict(at_least=2.), 1.9, None, 'at least 2.00, not met'),
    (dict(at_most=1.), None, None, 'at most 1.00'), ({}, 1., None, None)])
def test_goals(common, goal, ours, ratio, text):
    row = common.Figure('what', ours, 'ms', ratio=ratio, **goal).row()
    assert row['goal'] == text
    assert row['ours'] == ('not measured' if ours is None else f'{common.show(ours)} ms')


def test_a_script_that_fails_is_named_with_what_it_said(common, tmp_path):
    script = tmp_path / 'broken.py'
    script.write_text('raise ValueError("no such thing")')
    with pytest.raises(RuntimeError, match='broken.py failed with exit code 1(?s:.*)no such thing'):
        common.run_script(script)


def test_figures_name_no_folder_of_the_machine(common, tmp_path, capsys, monkeypatch):
    args = argparse.Namespace(device='cpu', out=tmp_path / 'x.json')
    monkeypatch.setattr(sys, 'argv', [
        'x.py', '--out', str(args.out), '--images', str(common.ROOT / 'demo' / 'a.jpg')])
    common.finish('x', args, [dict(model='a', ms=1.5)],
                  figures=[common.Figure('speed', 1.5, 'ms', at_most=2.)])
    content = json.loads(args.out.read_text())
    assert content['command'] == 'python tools/benchmarks/x.py --images demo/a.jpg'
    assert content['benchmark'] == 'x' and torch.__version__ in content['machine']
    assert content['rows'] == [dict(model='a', ms=1.5)] and content['figures'][0]['ours'] == 1.5
    assert '| speed | 1.50 ms | - | - | at most 2.00, met |' in capsys.readouterr().out


@pytest.mark.parametrize(('value', 'text'), [
    (None, '-'), (1234.5, '1234'), (12.34, '12.3'), (1.234, '1.23'), (0.9994, '0.999'),
    (0.01234, '0.0123'), (0., '0.00'), (7, '7'), ('a', 'a')])
def test_cells_of_tables(common, value, text):
    assert common.show(value) == text


def test_quick_sets_defaults_that_other_options_override(common):
    def parse(*arguments):
        parser = common.make_parser('Help.', 'x', repeats=9)
        parser.add_argument('--images', type=int, default=100)
        return common.parse(parser, dict(images=2), arguments)

    assert (parse().images, parse().repeats) == (100, 9)
    quick = parse('--quick', '--repeats', '3')
    assert (quick.images, quick.repeats, quick.threads) == (2, 3, 1)


def test_contestants_are_compared_with_the_first(common):
    times = {'ours': [1., 2.], 'theirs': [2., 4.]}
    assert common.compare(times, 'model', 'ours_over_it')[1] == dict(
        model='theirs', ms=3., ours_over_it=0.5, quartiles='0.50 to 0.50')
    rows = common.compare(times, 'model', 'over_ours', over_first=True)
    assert [row['over_ours'] for row in rows] == [1, 2]


@pytest.mark.parametrize('number', [0, 1, 30, 31, 59, 600])
def test_items_are_spread_over_all(common, number):
    chosen = common.spread(range(number), 30)
    assert len(chosen) == min(number, 30)
    steps = np.diff([*chosen, number]).tolist()
    assert not steps or max(steps) - min(steps) <= 1


def figures(device, ms):
    return json.dumps(dict(
        benchmark='bulk', machine=f'a {device}', command='python x.py', note='A note.',
        rows=[dict(model='a|b', ms=ms)],
        tables={'Levers': [dict(lever='c', ms=2.)], 'Long': [dict(number=1)] * 13},
        figures=[dict(what='time', ours=ms, unit='ms', peer=6., ratio=0.4, at_most=0.5),
                 dict(what='more', ours=ms, unit='ms')]))


def test_a_section_has_command_machine_tables_goals_and_method_of_cpu_and_gpu(benchmarks, tmp_path):
    import report
    assert report.page(tmp_path).count('| not measured |') == len(report.SECTIONS)

    (tmp_path / 'bulk.json').write_text(figures('cpu', 3.))
    text = report.page(tmp_path)
    line = '| time | 3.00 ms | 6.00 ms | 0.400 | at most 0.500, met |'
    first, _, rest = text.partition('## ')
    assert f'{line} `bulk.py` |' in first and '| more |' not in text
    assert ('<details><summary>Goals: 1 of 1 met</summary>\n\n'
            '| what | ours | peer | ratio | goal |\n'
            f'{"| --- " * 5}|\n{line}\n\n</details>') in rest
    assert rest.count('<details><summary>How it is measured') == len(report.SECTIONS)
    assert '| model | ms |\n| --- | --- |\n| a\\|b | 3.00 |' in text
    assert '```bash\npython x.py\n```' in text and 'Machine: a cpu. A note.' in text
    assert '**Levers**\n\n| lever | ms |\n| --- | --- |\n| c | 2.00 |' in text
    assert '**Long**' not in text

    (tmp_path / 'bulk-cuda.json').write_text(figures('cuda', 0.5))
    text = report.page(tmp_path)
    assert 'Machine: a cpu. A note.' in text and 'Machine: a cuda. A note.' in text


def test_the_page_in_the_repository_is_made_of_the_figures_in_it(benchmarks):
    import report
    if not report.PAGE.is_file():
        pytest.skip('no page yet')
    assert report.PAGE.read_text() == report.page(report.RESULTS), \
        'run python tools/benchmarks/report.py'


def test_every_script_is_in_the_report(benchmarks):
    import report
    helpers = {'report'}
    assert {file.stem for file in benchmarks.glob('*.py')} - helpers == set(report.SECTIONS)


@pytest.mark.parametrize(('device', 'file', 'gpus'), [
    ('cpu', 'bulk.json', ''), ('cuda', 'bulk-cuda.json', '0')])
def test_cpu_figures_are_measured_without_gpus(benchmarks, monkeypatch, device, file, gpus):
    import report
    asked = []

    def run(command, cwd, env):
        asked.append((command, env['CUDA_VISIBLE_DEVICES']))
        return argparse.Namespace(returncode=0)

    monkeypatch.setattr(report.subprocess, 'run', run)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')
    assert report.measure('bulk', argparse.Namespace(device=device, peers_python=None))
    (command, visible), = asked
    assert command[3].name == file and visible == gpus


def test_an_unknown_benchmark_is_answered_with_the_known_ones(benchmarks, monkeypatch, capsys):
    import report
    monkeypatch.setattr(sys, 'argv', ['report.py', '--run', 'nothing'])
    with pytest.raises(SystemExit, match='2'):
        report.parse_args()
    assert 'training_step' in capsys.readouterr().err.splitlines()[-1]
