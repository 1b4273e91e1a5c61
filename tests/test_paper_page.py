"""What docs/paper.md names exists: configs, tools, tests, and the files of every command."""
import re
import subprocess
from pathlib import Path

import pytest
from mmengine.config import Config

SHOW = """
show() { printf '%s\\n' "$@"; }
python() { show "$@"; }
tools/dist_train.sh() { show tools/dist_train.sh "$@"; }
tools/dist_test.sh() { show tools/dist_test.sh "$@"; }
set -euf
"""


@pytest.fixture(scope='module')
def page(repo) -> str:
    return (repo / 'docs' / 'paper.md').read_text()


def words(page, repo) -> list[str]:
    """Every word of the page's commands, as the shell expands them."""
    blocks = re.findall(r'```bash\n(.*?)```', page, re.S)
    assert len(blocks) >= 5
    done = [subprocess.run(['bash', '-c', SHOW + block], cwd=repo, check=True, text=True,
                           capture_output=True) for block in blocks]
    assert not any(each.stderr for each in done)
    return [word for each in done for word in each.stdout.splitlines()]


def test_the_files_of_every_command_exist(page, repo):
    files = [word for word in words(page, repo) if word.startswith(('configs/', 'tools/'))]
    assert sum(file.startswith('tools/') for file in files) >= 15
    assert not [file for file in files if not (repo / file).is_file()]


def test_checkpoints_are_those_that_a_config_leaves(page, repo):
    checkpoints = [Path(word) for word in words(page, repo) if word.endswith('.pth')]
    assert checkpoints
    for file in checkpoints:
        config, = (repo / 'configs' / 'instbox').rglob(f'{file.parent.name}.py')
        cfg = Config.fromfile(config)
        assert file.name == f'iter_{cfg.train_cfg.max_iters}.pth'


def test_commands_of_mmseg_name_configs_of_mmseg(page, repo):
    for word in words(page, repo):
        if word.startswith('mmseg::'):
            assert Config.fromstring(f'_base_ = {word!r}', '.py').model


def test_names_in_the_tables_are_those_of_the_files(page):
    """The text of a link is the name of its file, whole or behind an ellipsis."""
    links = re.findall(r'\[`([^`]+)`\]\(([^)]+)\)', page)
    assert len(links) > 60
    for text, target in links:
        start, _, end = text.partition('...')
        assert start in Path(target).stem and Path(target).stem.endswith(end), (text, target)


def test_every_claim_has_a_config_and_what_was_measured_or_checked(page):
    claims, _, _ = page.partition('## What the networks cost')
    rows = [row.strip('| ').split(' | ') for row in claims.splitlines()
            if row.startswith('| ') and not row.startswith(('| claim', '| ---'))]
    assert len(rows) >= 18
    for claim, config, measured, checked in rows:
        assert '../configs/' in config, claim
        assert 'not run' in measured or 'results.md' in measured or 'below' in measured, claim
        assert '../tests/' in checked, claim


def test_every_ablation_of_the_paper_is_named(page, repo):
    base = 'instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500'
    files = (repo / 'configs' / 'instbox').rglob(f'{base}*.py')
    missing = [file.name for file in files if file.name not in page]
    assert not missing
