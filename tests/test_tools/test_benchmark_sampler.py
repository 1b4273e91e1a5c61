import json
import math

import torch

ARGUMENTS = ('--shape', 2, 5, 32, 40, '--repeats', 2, '--hard', 0.5, 0, '--min-kept', 20)


def test_all_contestants_are_measured(run_tool, tmp_path):
    done = run_tool('benchmarks/sampler.py', *ARGUMENTS, '--out', tmp_path / 'figures.json')
    assert done.returncode == 0, done.stdout
    content = json.loads((tmp_path / 'figures.json').read_text())
    assert [(row['hard'], row['loss']) for row in content['rows']] == [
        (hard, loss) for hard in (0.5, 0)
        for loss in ('OHEMPixelSampler', 'BootstrapPixelSampler', 'BootstrapCrossEntropyLoss')]
    for row in content['rows']:
        assert math.isfinite(row['ms']) and row['ms'] > 0
    assert content['rows'][0]['times_faster'] == 1
    assert torch.__version__ in content['machine'] and 'times faster' in done.stdout


def test_wrong_settings_are_answered_with_one_sentence(run_tool):
    done = run_tool('benchmarks/sampler.py', '--hard', 1.5)
    assert done.returncode == 2 and 'between 0 and 1' in done.stdout.splitlines()[-1]
