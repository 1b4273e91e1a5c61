"""What the benchmarks share, and the page that is made of their figures."""
import argparse
import json
import subprocess
import sys

import pytest
import torch


@pytest.fixture
def bench(repo, monkeypatch):
    """The folder of the benchmarks, from which a test can import."""
    folder = repo / 'tools' / 'benchmarks'
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def common(bench):
    import common
    return common


def test_contestants_take_turns_and_the_warm_up_does_not_count(common):
    calls = []
    times = common.alternate({'a': lambda: calls.append('a'), 'b': lambda: calls.append('b')},
                             repeats=3, warm_up=2)
    assert ''.join(calls) == 'ab' * 5
    assert {name: len(values) for name, values in times.items()} == dict(a=3, b=3)
    assert min(min(values) for values in times.values()) >= 0


def test_a_ratio_pairs_the_runs_of_a_round(common):
    # the machine gets slower and slower, and slows both: the ratio does not see it
    slowing = [1., 2., 4., 8., 16.]
    assert common.ratio([each * 0.5 for each in slowing], slowing) == (0.5, 0.5, 0.5)
    assert common.ratio([1., 2., 3., 4., 5.], [1.] * 5) == (3, 2, 4)
    assert common.ratio([3.], [2.]) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize(('sense', 'value', 'met'), [
    ('at most', 0.8, True), ('at most', 0.81, False), ('at least', 2., True),
    ('at least', 1.9, False), ('under', 1., True), ('under', 2., False), ('under', None, None)])
def test_goals(common, sense, value, met):
    limit = {'at most': 0.8, 'at least': 2., 'under': 2.}[sense]
    assert common.Goal('figure', sense, limit, value).met() is met


def test_peak_memory_is_of_the_process_alone(common, tmp_path):
    """The one that starts it holds far more, which counts in what the system calls ru_maxrss."""
    held = torch.ones(1200 * common.MIB // 4)
    script = tmp_path / 'small.py'
    script.write_text('import sys; sys.path.insert(0, sys.argv[1]); import common, torch\n'
                      'before = common.peak_memory(); torch.ones(200 * common.MIB // 4)\n'
                      'print(before, common.peak_memory())')
    before, peak = map(float, common.run_script(script, common.ROOT / 'tools/benchmarks').split())
    assert 195 < peak - before < 260 and before < 1000 < common.peak_memory()
    assert held.sum() > 0


def test_a_script_that_fails_is_named_with_what_it_said(common, tmp_path):
    script = tmp_path / 'broken.py'
    script.write_text('raise ValueError("no such thing")')
    with pytest.raises(RuntimeError, match='broken.py failed with exit code 1(?s:.*)no such thing'):
        common.run_script(script)


def test_figures_name_no_folder_of_the_machine(common, tmp_path, capsys):
    args = argparse.Namespace(device='cpu', out=tmp_path / 'x.json', repeats=3,
                              images=[common.ROOT / 'demo' / 'a.jpg'], data=common.ROOT / 'data')
    common.finish('x', args, [dict(model='a', ms=1.5)], figure='ms',
                  goals=[common.Goal('speed', 'at most', 2., 1.5)])
    content = json.loads(args.out.read_text())
    assert content['settings'] == dict(device='cpu', repeats=3, images=['demo/a.jpg'], data='data')
    assert content['benchmark'] == 'x' and torch.__version__ in content['machine']
    assert content['rows'] == [dict(model='a', ms=1.5)] and content['goals'][0]['value'] == 1.5
    assert str(common.ROOT) not in args.out.read_text()
    assert 'speed: 1.50; goal at most 2.00, met' in capsys.readouterr().out


@pytest.mark.parametrize(('value', 'text'), [
    (None, '-'), (1234.5, '1234'), (12.34, '12.3'), (1.234, '1.23'), (0.9994, '0.999'),
    (0.01234, '0.0123'), (0., '0.00'), (7, '7'), ('a', 'a')])
def test_cells_of_tables(common, value, text):
    assert common.show(value) == text


def test_quick_sets_defaults_that_other_options_override(common):
    def parse(*arguments):
        parser = common.make_parser('Help.', 'x', repeats=9)
        parser.add_argument('--images', type=int, default=100)
        return common.parse(parser, arguments, quick=dict(images=2))

    threads = torch.get_num_threads()
    assert (parse().images, parse().repeats) == (100, 9)
    quick = parse('--quick', '--repeats', '3')
    assert (quick.images, quick.repeats, quick.threads) == (2, 3, 1)
    torch.set_num_threads(threads)


def test_contestants_are_compared_with_the_first(common):
    times = {'ours': [1., 2.], 'theirs': [2., 4.]}
    assert common.compare(times, 'model', 'ours_over_it')[1] == dict(
        model='theirs', ms=3., ours_over_it=0.5, quartiles='0.50 to 0.50')
    rows = common.compare(times, 'model', 'over_ours', over_first=True)
    assert [row['over_ours'] for row in rows] == [1, 2]


def figures(device, ms, **more):
    content = dict(
        benchmark='bulk', machine=f'a {device}', device=device, command='python x.py',
        figure='ms', note='A note.', settings={}, rows=[dict(model='a|b', ms=ms)],
        tables={'Levers': [dict(lever='c', ms=2.)]},
        goals=[dict(figure='time', sense='at most', limit=2., value=ms, unit=' ms')])
    return json.dumps(content | more)


def test_a_section_has_command_machine_tables_and_goals_of_cpu_and_gpu(bench, tmp_path):
    import report
    assert report.page(tmp_path).count(': not run.') == len(report.SECTIONS)

    (tmp_path / 'bulk.json').write_text(figures('cpu', 3.))
    text = report.page(tmp_path)
    assert '| model | ms |\n| --- | --- |\n| a\\|b | 3.00 |' in text
    assert '```bash\npython x.py\n```' in text and 'Machine: a cpu. A note.' in text
    assert '**Levers**\n\n| lever | ms |\n| --- | --- |\n| c | 2.00 |' in text
    assert '- time: 3.00 ms; goal at most 2.00 ms, not met' in text

    (tmp_path / 'bulk-cuda.json').write_text(figures('cuda', 0.5))
    text = report.page(tmp_path)
    assert 'Machine: a cpu. A note.' in text and 'Machine: a cuda. A note.' in text
    assert '- time: 0.500 ms; goal at most 2.00 ms, met' in text


@pytest.mark.parametrize(('benchmark', 'rows', 'expected'), [
    ('export', [dict(model='eager', whole_ms=50., whole_times_faster_than_plain=2.5),
                dict(model="plain: eager by mmseg's inference_model", whole_ms=120.,
                     whole_times_faster_than_plain=1.)], '| 50.0 ms | 120 ms | 0.400 |'),
    ('peers', [dict(model='ours, R50 at stride 16', ms=4., ours_over_it=1.),
               dict(model='CondInst, R50-FPN', ms=5., ours_over_it=0.79)],
     '| 4.00 ms | 5.00 ms | 0.790 |'),
    ('peer_accuracy', [dict(model='ours', ms=2., over_ours=1., val_official_AP50=0.6),
                       dict(model='Mask R-CNN, MobileNetV2-FPN', ms=8., over_ours=4.1,
                            val_official_AP50=0.4)], '| 0.600 | 0.400 | 1.50 |'),
    ('peer_accuracy', [dict(model='ours', ms=2., over_ours=1.),
                       dict(model='Mask R-CNN, MobileNetV2-FPN', ms=8., over_ours=4.)],
     '| 2.00 ms | 8.00 ms | 0.250 |'),
])
def test_ratios_of_the_first_table_are_ours_over_the_peer(bench, tmp_path, benchmark, rows,
                                                         expected):
    import report
    (tmp_path / f'{benchmark}.json').write_text(figures('cpu', 1., rows=rows))
    assert expected in report.page(tmp_path).split('## ')[0]


def test_rows_of_the_first_table_are_found_in_the_figures_of_the_repository(bench):
    import report
    for line in report.LINES:
        file = report.RESULTS / f'{line.benchmark}.json'
        if file.is_file() and line.benchmark != 'startup':  # measured before there were these rows
            found = report.first_table(line, [json.loads(file.read_text())])
            assert 'not run' not in found.values(), line
            assert (found['ratio'] is None) == (not line.peer)


def test_the_page_in_the_repository_is_made_of_the_figures_in_it(bench):
    import report
    if not report.PAGE.is_file():
        pytest.skip('no page yet')
    assert report.PAGE.read_text() == report.page(report.RESULTS), \
        'run python tools/benchmarks/report.py'


def test_every_script_is_in_the_report(bench):
    import report
    helpers = {'common', 'report', 'peer_models'}
    assert {file.stem for file in bench.glob('*.py')} - helpers == set(report.SECTIONS)


def test_an_unknown_benchmark_is_answered_with_the_known_ones(bench):
    done = subprocess.run(
        [sys.executable, bench / 'report.py', '--run', 'nothing'], capture_output=True, text=True,
        env=dict(PYTHONPATH=str(bench.parents[1])))
    assert done.returncode == 2 and 'training_step' in done.stderr.splitlines()[-1]
