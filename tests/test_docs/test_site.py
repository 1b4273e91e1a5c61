"""Every page of the site is reached, links lead somewhere, the zoo has the metafiles' figures."""
import importlib.util
import re
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from mmseg_instbox.cli.main import COMMANDS, cli

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / 'docs'
PAGES = sorted(file for kind in ('md', 'ipynb') for file in DOCS.rglob(f'*.{kind}')
               if not {'_build', '_generated'} & set(file.relative_to(DOCS).parts))
OUTSIDE = [REPO / name for name in (
    'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'RELEASING.md', 'demo/README.md',
    'configs/fcrn/README.md',
    'configs/instbox/README.md', 'configs/instbox/ablations/README.md',
    'configs/instbox/any_model/README.md')]


@pytest.fixture(scope='module')
def site_pages():
    spec = importlib.util.spec_from_file_location('site_pages', DOCS / 'site_pages.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_a_table_of_contents():
    listed = []
    for page in PAGES:
        for body in re.findall(r'```\{toctree\}\n(.*?)```', page.read_text(), re.S):
            names = [re.sub(r'.*<(.*)>', r'\1', line) for line in body.splitlines()
                     if line and not line.startswith(':')]
            listed += [next(page.parent.glob(f'{name}.*')).resolve() for name in names]
    assert sorted([*listed, DOCS / 'index.md']) == PAGES


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    titles = re.findall(r'^#+ (.*)$', text, re.M)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


@pytest.mark.parametrize('page', [*PAGES, *OUTSIDE], ids=lambda page: str(page.relative_to(REPO)))
def test_links_lead_to_files_and_headings(page):
    links = re.findall(r'\]\((?!https?://)([^)\s#]*)(?:#([^)\s]+))?\)', page.read_text())
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f'{path}#{anchor}'


def test_included_files_are_those_to_which_links_are_turned(site_pages):
    for source, page in site_pages.INCLUDED.items():
        inside = re.search(r'\{include\} (\S+)', (DOCS / page).read_text()).group(1)
        assert (DOCS / page).parent.joinpath(inside).resolve() == REPO / source


@pytest.mark.parametrize(('file', 'link', 'expected'), [
    ('docs/data.md', 'formats.md#problems', '/formats.md#problems'),
    ('docs/data.md', '../CHANGELOG.md', '/changelog.md'),
    ('docs/data.md', '../mmseg_instbox/core', '/api/core.md'),
    ('docs/data.md', '../tools/train.py', 'https://host/tools/train.py'),
    ('configs/instbox/README.md', '../../docs/data.md', '/data.md'),
    ('configs/instbox/README.md', 'ablations/README.md', '/zoo/ablations.md'),
    ('docs/data.md', 'https://example.org', 'https://example.org'),
    ('docs/data.md', '#below', '#below'),
])
def test_links_are_turned_to_pages_or_files(site_pages, file, link, expected):
    turned = site_pages.point_links(f'[text]({link})', REPO / file, 'https://host')
    assert turned == f'[text]({expected})'


def test_the_zoo_has_the_figures_of_a_metafile(site_pages, tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'README.md').write_text('# Family\n')
    (tmp_path / 'a' / 'w.pth').write_bytes(bytes(2_500_000))
    (tmp_path / 'model-index.yml').write_text('Import: [a/metafile.yaml]')
    results = [dict(Dataset='val', Metrics={'mIoU': 0.5, 'APr_0.5': 1.0, 'AP50': 0.123}),
               dict(Dataset='test', Metrics={'mIoU': 0.25})]
    models = [dict(Name='x', Config='a/x.py', Weights='a/w.pth', Results=results,
                   Metadata={'Parameters': '3 M', 'inference time (ms/im)': [
                       dict(value=4.5, hardware='a CPU')]}), dict(Name='y', Config='a/y.py')]
    (tmp_path / 'a' / 'metafile.yaml').write_text(yaml.safe_dump(dict(Models=models)))
    text = site_pages.model_zoo(tmp_path)
    assert ('| [`x`](../../a/x.py) | 3 M | 4.5 (a CPU) | val | .500 | 1.000 |  |  | .123 '
            '| [2.5 MB](../../a/w.pth) |' in text)
    assert '|  |  |  | test | .250 |  |  |  |  |  |' in text
    assert '**[Family](../../a/README.md)**' in text and '- [`y`](../../a/y.py)' in text


def test_the_api_reference_has_the_whole_package(site_pages):
    package = REPO / 'mmseg_instbox'
    assert set(site_pages.API) == {file.parent.name for file in package.glob('*/__init__.py')}
    index = (DOCS / 'api' / 'index.md').read_text()
    modules = {file.stem for file in package.glob('*.py')} - {'__init__', 'version'}
    assert set(re.findall(r'automodule:: mmseg_instbox\.(\w+)', index)) == modules
    for name in site_pages.API:
        assert f'| [`{name}`]({name}.md) |' in index
        assert f'_generated/api_{name}.md' in (DOCS / 'api' / f'{name}.md').read_text()


def test_commands_have_their_help_and_scripts_their_summary(site_pages):
    text = site_pages.commands_page(REPO)
    assert re.findall(r'^## instbox (\w+)', text, re.M) == list(COMMANDS)
    assert '-h, --help' in text and '[default: predictions]' in text
    scripts = re.findall(r'^\| \[`(tools/[^`]+)`\]\(\.\./\.\./\1\) \| \w', text, re.M)
    assert {'tools/train.py', 'tools/analysis_tools/oracle.py'} < set(scripts)


def test_figures_of_the_metafiles_are_those_of_the_card_and_the_readme(site_pages):
    zoo = site_pages.model_zoo(REPO)
    card = (REPO / 'demo' / 'README.md').read_text()
    table = (REPO / 'README.md').read_text().partition('## Results')[2]
    assert figures(zoo, '| val_official |')[:4] == figures(card, '| `val_official`,')[:4]
    for name, title in (('| val_official |', '`val_official`,'), ('| val_coco |', '`val_coco`,'),
                        ('generated images |', 'unseen generated images |')):
        assert figures(zoo, name) == figures(table, title)


def figures(text: str, start: str) -> list[str]:
    """The figures after ``start`` in the first line of a table that has it."""
    line = next(line for line in text.splitlines() if start in line)
    return re.findall(r'(?<= )\.\d{3}', line.partition(start)[2])


def targets() -> list[str]:
    return re.findall(r'^([\w-]+):', (REPO / 'Makefile').read_text(), re.M)


@pytest.fixture(scope='module')
def options() -> set[str]:
    """The options that any tool has."""
    return {option for folder in ('tools', 'mmseg_instbox/cli', 'tests/fuzz')
            for file in (REPO / folder).rglob('*.py')
            for option in re.findall(r"'(--[\w-]+)'", file.read_text())}


@pytest.mark.parametrize('page', [*(page for page in PAGES if page.suffix == '.md'),
                                  *(REPO / name for name in OUTSIDE)],
                         ids=lambda page: str(page.relative_to(REPO).with_suffix('')))
def test_commands_name_what_is_there(page, monkeypatch, options):
    monkeypatch.setattr(click.Path, 'convert', lambda self, value, param, ctx: value)
    blocks = re.findall(r'```bash\n(.*?)```', page.read_text(), re.S)
    for line in '\n'.join(blocks).replace('\\\n', '').splitlines():
        words = [word for word in line.split('#')[0].split() if not re.match('[A-Z_]+=', word)]
        program, *words = words or ['']
        if program.endswith('instbox') and words != ['--help']:
            command = cli.get_command(None, words[0])
            command.make_context(words[0], words[1:])
        elif program == 'make':
            assert words[0] in targets()
        elif program.endswith('python') and words[0] != '-m' or program.startswith('tools/'):
            assert (REPO / (program if program.startswith('tools/') else words[0])).is_file(), line
            assert {word for word in words if word.startswith('--')} <= options, line
