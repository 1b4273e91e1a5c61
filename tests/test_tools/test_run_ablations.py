import argparse
import json
import subprocess
from pathlib import Path

import pytest
import torch
from programs import Program


@pytest.fixture(scope='module')
def tool(load_tool):
    """The script as a module."""
    return load_tool('run_ablations.py')


@pytest.fixture
def arguments(tmp_path) -> argparse.Namespace:
    """Settings with the table's two columns."""
    return argparse.Namespace(
        work_dir=tmp_path, seeds=[0, 1, 2], processes=1, metrics=['mIoU', 'APr_0.5'],
        cfg_options=['train_cfg.max_iters=4'])


def write_figures(folder: Path, **figures: float) -> None:
    folder.mkdir(parents=True)
    (folder / 'metrics.json').write_text(json.dumps(figures))


def test_a_run_is_trained_evaluated_and_not_repeated(tool, tiny_config, tmp_path, monkeypatch,
                                                     capsys):
    def run(command: list[str], **_: object) -> None:
        _, script, *words = command
        Program(Path(script), tmp_path / 'output.txt', *words).succeeds()

    monkeypatch.setattr(tool.subprocess, 'run', run)  # the same programs, which start sooner
    monkeypatch.setattr('sys.argv', [
        'run_ablations.py', str(tiny_config), '--work-dir', str(tmp_path), '--seeds', '3',
        '--cfg-options', 'train_cfg.val_interval=9'])
    tool.main()
    table = capsys.readouterr().out
    folder = tmp_path / 'tiny' / 'seed_3'
    figures = json.loads((folder / 'metrics.json').read_text())
    row, = json.loads((tmp_path / 'ablations.json').read_text())
    assert row['runs'] == 1 and row['APr_vol'] == dict(mean=figures['APr_vol'], std=None)
    assert f'{figures["mIoU"]:.3f}' in table
    assert (folder / 'iter_2.pth').is_file()
    assert 'seed=3' in (folder / 'tiny.py').read_text().replace(' ', '')

    monkeypatch.setattr(tool, 'call', None)  # nothing is to be run again
    tool.main()
    assert capsys.readouterr().out == table


def test_a_failing_run_does_not_stop_the_others(tool, tiny_config, arguments, monkeypatch, capsys):
    """Two configs with two seeds; the first config cannot be trained."""
    bad = arguments.work_dir / 'bad.py'
    bad.write_text(tiny_config.read_text())
    calls = []

    def call(name: str, given: list, processes: int) -> None:
        calls.append((name, Path(given[0]).stem, given[-2]))
        folder = given[given.index('--work-dir') + 1]
        if Path(given[0]).stem == 'bad':
            raise subprocess.CalledProcessError(1, name)
        if name == 'train':
            torch.save(dict(state_dict={}, meta={}), folder / 'iter_2.pth')
        else:
            assert given[1] == folder / 'iter_2.pth'
            (folder / 'metrics.json').write_text('{"mIoU": 0.5, "voc/APr_0.5": 0.25}')

    arguments.configs, arguments.seeds = [bad, tiny_config], [0, 1]
    monkeypatch.setattr(tool, 'parse_args', lambda: arguments)
    monkeypatch.setattr(tool, 'call', call)
    with pytest.raises(SystemExit, match='bad, seed 0; bad, seed 1'):
        tool.main()
    seeds = [f'randomness.seed={seed}' for seed in (0, 1)]
    assert calls == [each for seed in seeds for each in (
        ('train', 'bad', seed), ('train', 'tiny', seed), ('test', 'tiny', seed))]
    assert 'bad' in capsys.readouterr().out
    rows = json.loads((arguments.work_dir / 'ablations.json').read_text())
    assert [row['runs'] for row in rows] == [0, 2]
    assert rows[1]['APr_0.5'] == dict(mean=0.25, std=0)


def test_mean_and_spread_over_the_seeds(tool, arguments):
    for seed, value in enumerate((0.1, 0.2, 0.6)):
        write_figures(arguments.work_dir / 'a_b' / f'seed_{seed}', mIoU=value,
                      **{'voc/APr_0.5': 2 * value})
    write_figures(arguments.work_dir / 'a' / 'seed_1', **{'mIoU': 0.25, 'APr_0.5': 0.125})
    rows = [tool.summarise(Path(f'{name}.py'), arguments.seeds, arguments)
            for name in ('a', 'a_b', 'a_none')]
    assert [row['runs'] for row in rows] == [1, 3, 0]
    assert rows[0]['mIoU'] == dict(mean=0.25, std=None)
    assert rows[1]['mIoU']['mean'] == pytest.approx(0.3)
    assert rows[1]['mIoU']['std'] == pytest.approx(0.07 ** 0.5)  # (.04 + .01 + .09) / 2
    table = tool.format_rows(rows, arguments.metrics)
    assert '0.300 ± 0.265 | 0.600 ± 0.529' in table
    assert '0.250     |     0.125' in table and '(base)' in table


def test_a_directory_of_other_settings_is_refused(tool, tiny_config, tmp_path):
    for _ in range(2):
        tool.claim(tmp_path / 'run', tiny_config, ['a=1'])
    with pytest.raises(ValueError, match='other settings'):
        tool.claim(tmp_path / 'run', tiny_config, ['a=2'])


def test_mistakes_are_answered_with_sentences(tool, tiny_config, arguments):
    with pytest.raises(FileNotFoundError, match='absent'):
        tool.check_names([Path('absent.py')])
    with pytest.raises(ValueError, match='Two configs are named tiny'):
        tool.check_names([tiny_config, tiny_config])
    write_figures(arguments.work_dir / 'a' / 'seed_0', mIoU=0.5)
    with pytest.raises(ValueError, match="no 'APr_0.5'; --metrics may name mIoU"):
        tool.summarise(Path('a.py'), [0], arguments)
