import re

TOOL = 'analysis_tools/calibrate.py'


def test_the_fitted_calibration_lowers_the_error(run_tool, tiny_config, tiny_dump, tmp_path):
    plot = tmp_path / 'plot.png'
    done = run_tool(TOOL, tiny_config, tiny_dump, '--plot', plot)
    assert done.returncode == 0, done.stdout[-4000:]
    before, after = map(float, re.search(r'error: (\S+) before, (\S+) after', done.stdout).groups())
    assert after < before
    slope, offset = re.search(r'calibration=\((\S+), (\S+)\)\)\)', done.stdout).groups()
    assert float(slope) > 0 and plot.stat().st_size > 1000
    again = run_tool(TOOL, tiny_config, tiny_dump, '--given', slope, offset, '--cfg-options',
                     'model.grouper.calibration=[3.0,2.0]')
    assert again.stdout.splitlines()[-4:] == done.stdout.splitlines()[-4:]


def test_nothing_to_fit_is_refused(run_tool, tiny_config, tiny_dump):
    done = run_tool(TOOL, tiny_config, tiny_dump, '--cfg-options', 'model.grouper.min_votes=1e9')
    assert done.returncode == 1 and '0 instances were predicted' in done.stdout
