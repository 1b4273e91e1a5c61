import json

import pytest
from mmengine.config import Config

from mmseg_instbox.engine import load_config
from mmseg_instbox.evaluation import DumpedSamples
from mmseg_instbox.evaluation.replay import Regroup, build_grouper, replay

TOOL = 'analysis_tools/regroup.py'
PIXEL = dict(type='PixelBoxGrouper')


@pytest.fixture
def regroup(load_tool):
    """The tool as a module."""
    return load_tool(TOOL)


def test_every_setting_is_evaluated_and_the_best_are_named(run_main, tiny_config, tiny_dump,
                                                           tmp_path):
    out = tmp_path / 'sweep.json'
    printed = run_main(TOOL, tiny_config, tiny_dump, '--grid', 'min_gain=0.05,0.9',
                       'merge_iou=0.4', '--workers', 2, '--out', out)
    content = json.loads(out.read_text())
    rows = content['rows']
    assert [row['grouper'].get('min_gain') for row in rows[:2]] == [0.05, 0.9]
    assert rows[2]['grouper'] == content['configured']  # for comparison
    best = max(row['figures']['APr_0.5'] for row in rows)
    assert rows[1]['figures']['APr_0.5'] < best
    assert f'best by APr_0.5: APr_0.5 {best:.4f}' in printed
    samples = DumpedSamples.from_config(load_config(str(tiny_config)), tiny_dump)
    variants = [Regroup(build_grouper(row['grouper']), samples.thing_ids) for row in rows]
    figures = replay(samples, variants)
    assert figures == [row['figures'] for row in rows]  # the number of processes changes nothing


def test_lines_for_a_config_do_what_they_say(regroup, tmp_path):
    base = tmp_path / 'base.py'
    base.write_text("model = dict(grouper=dict(type='PixelBoxGrouper', bin_size=0.3))\n")
    configured = dict(type='PixelBoxGrouper', bin_size=0.3)
    for grouper in (dict(configured, min_gain=0.2), dict(type='BoxNMSGrouper')):
        child = tmp_path / 'child.py'
        child.write_text(f"_base_ = './base.py'\n{regroup.config_lines(grouper, configured)}\n")
        assert Config.fromfile(child).model.grouper.to_dict() == grouper


def test_a_grid_is_all_combinations(regroup):
    grid = dict(min_gain=[0.1, 0.2], num_refine=2, merge_iou=[0.5, 0.6])
    settings = regroup.expand_grid(grid)
    assert [tuple(each.values()) for each in settings] == [
        (0.1, 2, 0.5), (0.1, 2, 0.6), (0.2, 2, 0.5), (0.2, 2, 0.6)]
    assert regroup.expand_grid({}) == [{}]


def test_random_settings_are_some_of_them_and_repeatable(regroup):
    settings = [dict(min_gain=i / 100) for i in range(50)]
    chosen = regroup.choose_settings(settings, 7, 1)
    assert len(chosen) == 7 and chosen == [each for each in settings if each in chosen]
    assert chosen == regroup.choose_settings(settings, 7, 1)
    assert chosen != regroup.choose_settings(settings, 7, 2)
    assert regroup.choose_settings(settings, 99, 1) == settings


@pytest.mark.parametrize('arguments, message', [
    (['--grid', 'min_gian=0.1'], "PixelBoxGrouper.*cannot be built .*'min_gian'"),
    (['--grid', 'min_gain=-1'], "min_gain >= 0, got .*'min_gain': -1"),
    (['--grid', 'min_gain=much'], "min_gain': 'much'.*cannot be built"),
    (['--grouper', 'Nix'], "no grouper 'Nix'; expected one of BoxNMS"),
])
def test_mistakes_in_the_grid_are_explained(run_main, tiny_config, tiny_dump, arguments, message):
    with pytest.raises(SystemExit, match=f'regroup.py: .*{message}'):
        run_main(TOOL, tiny_config, tiny_dump, *arguments, '--workers', 1)


def test_the_configured_grouper_is_the_base_unless_another_is_named(regroup):
    configured = dict(PIXEL, bin_size=0.3)
    assert regroup.choose_grouper(configured, None) == configured
    assert regroup.choose_grouper(configured, 'PixelBoxGrouper') == configured
    assert regroup.choose_grouper(configured, 'BoxNMSGrouper') == dict(type='BoxNMSGrouper')


def test_the_table_is_sorted_and_shows_defaults(regroup, capsys):
    rows = [dict(grouper=grouper, figures=dict.fromkeys(regroup.FIGURES, figure))
            for grouper, figure in ((dict(PIXEL), 0.1), (dict(PIXEL, min_gain=0.7), 0.3))]
    regroup.report(rows, ['min_gain'], PIXEL)
    lines = capsys.readouterr().out.splitlines()
    default = str(regroup.complete(PIXEL)['min_gain'])
    cells = [line.strip('|').split('|')[0].strip() for line in lines if line.startswith('|')]
    assert cells == ['min_gain', '0.7', default]
    assert 'as configured: APr_0.5 0.1000, APr_vol 0.1000' in lines
