import re

import pytest

TOOL = 'analysis_tools/calibrate.py'
ONE = ('--workers', 1)


def test_the_fitted_calibration_lowers_the_error(run_main, tiny_config, tiny_dump, tmp_path):
    plot = tmp_path / 'plot.png'
    printed = run_main(TOOL, tiny_config, tiny_dump, '--plot', plot, *ONE)
    before, after = map(float, re.search(r'error: (\S+) before, (\S+) after', printed).groups())
    assert after < before
    slope, offset = re.search(r'calibration=\((\S+), (\S+)\)\)\)', printed).groups()
    assert float(slope) > 0 and plot.stat().st_size > 1000
    again = run_main(TOOL, tiny_config, tiny_dump, '--given', slope, offset, *ONE, '--cfg-options',
                     'model.grouper.calibration=[3.0,2.0]')
    assert again.splitlines()[-4:] == printed.splitlines()[-4:]


def test_nothing_to_fit_is_refused(run_main, tiny_config, tiny_dump):
    with pytest.raises(SystemExit, match='calibrate.py: 0 instances were predicted'):
        run_main(TOOL, tiny_config, tiny_dump, *ONE, '--cfg-options',
                 'model.grouper.min_votes=1e9')
