import re
import subprocess
import sys

import yaml

from mmseg_instbox import __version__


def test_a_build_carries_configs_and_tools_without_benchmarks(repo, tmp_path):
    subprocess.run([sys.executable, 'setup.py', '-q', 'egg_info', '--egg-base', tmp_path,
                    'build_py', '--build-lib', tmp_path / 'lib'], cwd=repo, check=True)
    package = tmp_path / 'lib' / 'mmseg_instbox'
    for folder in ('configs', 'tools'):
        expected = {file.relative_to(repo) for file in (repo / folder).rglob('*')
                    if file.is_file() and not {'__pycache__', 'benchmarks'} & set(file.parts)}
        carried = {file.relative_to(package / '.mim')
                   for file in (package / '.mim' / folder).rglob('*') if file.is_file()}
        assert carried == expected and expected
    modules = {file.relative_to(repo) for file in (repo / 'mmseg_instbox').rglob('*.py')
               if '.mim' not in file.parts}
    built = {file.relative_to(tmp_path / 'lib') for file in package.rglob('*.py')
             if '.mim' not in file.parts}
    assert built == modules
    assert f'Version: {__version__}' in (tmp_path / 'mmseg_instbox.egg-info/PKG-INFO').read_text()


def test_the_model_index_lists_each_metafile(repo):
    listed = yaml.safe_load((repo / 'model-index.yml').read_text())['Import']
    there = [str(file.relative_to(repo)) for file in (repo / 'configs').rglob('metafile.y*ml')]
    assert sorted(listed) == sorted(there)
    for file in there:
        for model in yaml.safe_load((repo / file).read_text())['Models']:
            assert (repo / model['Config']).is_file(), f'{file} names {model["Config"]}'


def test_the_pins_lie_within_the_ranges(repo):
    text = (repo / 'requirements.txt').read_text() + (repo / 'requirements-dev.txt').read_text()
    pins = dict(re.findall(r'^([\w.-]+)(?:\[\w+\])?==([\w.]+)$', text, re.M))
    setup = (repo / 'setup.py').read_text()
    ranges = dict(re.findall(r"'([\w.-]+)(?:\[\w+\])?>=([\d.]+)[',]", setup))
    assert len(ranges) > 8 and set(ranges) <= set(pins)

    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split('.')]

    assert all(numbers(pins[name]) >= numbers(lowest) for name, lowest in ranges.items())
