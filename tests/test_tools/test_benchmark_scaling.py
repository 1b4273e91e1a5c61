"""The script that measures how cost grows, at its smallest."""
import json


def test_axes_are_measured_and_drawn(run_tool, tmp_path):
    done = run_tool('benchmarks/scaling.py', '--axes', 'objects', '--limit', 3,
                    '--repeats', 1, '--out', tmp_path / 'figures.json', '--plot',
                    tmp_path / 'deep' / 'plot.png')
    assert done.returncode == 0, done.stdout
    content = json.loads((tmp_path / 'figures.json').read_text())
    assert [row['axis'].split(',')[0] for row in content['rows']] == ['objects']
    objects, = content['tables'].values()
    assert [row['objects'] for row in objects] == [1, 3]
    assert all(row['found'] >= row['objects'] and row['grid_ms'] > 0 for row in objects)
    assert (tmp_path / 'deep' / 'plot.png').stat().st_size > 10_000
