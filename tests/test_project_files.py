"""The files around the code agree with the code."""
import re

import yaml

from mmseg_instbox import __version__


def test_the_citation_is_of_this_version_and_the_paper(repo):
    citation = yaml.safe_load((repo / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    assert citation['references'][0]['url'].endswith('1605.06885')


def test_hooks_and_the_workflow_run_what_make_runs(repo):
    makefile = (repo / 'Makefile').read_text()
    hooks = yaml.safe_load((repo / '.pre-commit-config.yaml').read_text())['repos']
    commands = [hook['entry'].split()[0] for each in hooks if each['repo'] == 'local'
                for hook in each['hooks']]
    assert commands and all(f'$(BIN)/{command.split("/")[-1]}' in makefile for command in commands)
    steps = yaml.safe_load((repo / '.github/workflows/ci.yml').read_text())['jobs']['test']['steps']
    targets = [step['run'].removeprefix('make ') for step in steps if 'run' in step]
    assert targets and all(re.search(f'^{target}:', makefile, re.M) for target in targets)


def test_the_docker_image_has_extras_that_exist(repo):
    extras = re.search(r'^ARG EXTRAS=(.*)$', (repo / 'Dockerfile').read_text(), re.M).group(1)
    declared = re.findall(r'^ {8}(\w+)=\[', (repo / 'setup.py').read_text(), re.M)
    assert set(extras.split(',')) <= set(declared)


def test_optional_installs_that_texts_name_are_extras(repo):
    declared = set(re.findall(r'^ {8}(\w+)=\[', (repo / 'setup.py').read_text(), re.M))
    files = [repo / 'README.md', *(repo / 'docs').glob('*.md'), *(repo / 'docs').rglob('*.ipynb'),
             *(repo / 'mmseg_instbox').rglob('*.py')]
    named = {extra for file in files
             for names in re.findall(r'mmseg_instbox\[([\w,]+)\]', file.read_text())
             for extra in names.split(',')}
    assert {'demo', 'export', 'ray'} <= named <= declared
    table = (repo / 'docs/install.md').read_text().partition('## Optional parts')[2]
    assert set(re.findall(r'^\| `(\w+)` \|', table, re.M)) == declared - {'dev'}


def test_the_layers_are_the_folders_of_the_package(repo):
    contract = (repo / 'pyproject.toml').read_text().partition('layers = [')[2].partition(']')[0]
    named = set(re.findall(r'\w+', contract))
    rooms = {file.parent.name for file in (repo / 'mmseg_instbox').glob('*/__init__.py')}
    assert named == rooms | {'errors'}
