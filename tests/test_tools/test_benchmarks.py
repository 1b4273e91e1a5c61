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
                      'common.print_memory(lambda: torch.ones(200 * common.MIB // 4))')
    figures = common.memory_of(str(script), common.ROOT / 'tools' / 'benchmarks')
    assert 195 < figures['grown_mib'] < 260, figures
    assert figures['peak_mib'] - figures['grown_mib'] < 1000 < common.peak_memory()
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
    assert 'speed: 1.50, goal at most 2.00' in capsys.readouterr().out


@pytest.mark.parametrize(('value', 'text'), [
    (None, '-'), (1234.5, '1234'), (12.34, '12.3'), (1.234, '1.23'), (0.9994, '0.999'),
    (0.01234, '0.0123'), (0., '0.00'), (7, '7'), ('a', 'a')])
def test_cells_of_tables(common, value, text):
    assert common.show(value) == text


def figures(device, ms, **more):
    return dict(
        benchmark='startup', machine=f'a {device}', device=device, command='python x.py',
        figure='ms', note='A note.', settings={},
        rows=[dict(model='a|b', ms=ms, quartiles='1 to 2')],
        tables={'Levers': [dict(lever='c', ms=2.)]},
        goals=[dict(figure='time', sense='at most', limit=2., value=ms, unit=' ms')], **more)


def test_the_page_has_goals_tables_commands_and_the_gpu_column(bench, tmp_path):
    import report
    text = report.page(tmp_path)
    assert 'Nothing was measured yet.' in text
    assert text.count(': not run.') == len(report.SPEED)

    (tmp_path / 'startup.json').write_text(json.dumps(figures('cpu', 3.)))
    text = report.page(tmp_path)
    assert '| time | at most 2.00 ms | 3.00 ms | **no** | not run |' in text
    assert '| a\\|b | 3.00 | 1 to 2 | not run |' in text
    assert '```bash\npython x.py\n```' in text and 'Machine: a cpu.' in text and 'A note.' in text
    assert '**Levers**\n\n| lever | ms |\n| --- | --- |\n| c | 2.00 |' in text

    (tmp_path / 'startup-cuda.json').write_text(json.dumps(figures('cuda', 0.5)))
    text = report.page(tmp_path)
    assert '| time | at most 2.00 ms | 3.00 ms | **no** | 0.500 ms |' in text
    assert '| a\\|b | 3.00 | 1 to 2 | 0.500 |' in text and 'GPU: a cuda.' in text


def test_the_page_in_the_repository_is_made_of_the_figures_in_it(bench):
    import report
    if not report.PAGE.is_file():
        pytest.skip('no page yet')
    assert report.PAGE.read_text() == report.page(report.RESULTS), \
        'run python tools/benchmarks/report.py'


def test_every_benchmark_of_the_report_has_a_script_with_a_description(bench):
    import report
    for name in report.SPEED:
        if (bench / f'{name}.py').is_file():
            assert len(report.describe(name)) > 40


def test_an_unknown_benchmark_is_answered_with_the_known_ones(bench):
    done = subprocess.run(
        [sys.executable, bench / 'report.py', '--run', 'nothing'], capture_output=True, text=True,
        env=dict(PYTHONPATH=str(bench.parents[1])))
    assert done.returncode == 2 and 'training_step' in done.stderr.splitlines()[-1]
