"""Pages of the documentation site that are made from metafiles and code, and its links."""
import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import click
import yaml

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r'(\]\()(?!https?://|mailto:|#|<)([^)\s#]+)(#[^)\s]*)?(\))')
# files outside docs/ that a page of the site includes
INCLUDED = {
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'RELEASING.md': 'releasing.md',
    'configs/fcrn/README.md': 'zoo/fcrn.md',
    'configs/instbox/README.md': 'zoo/instbox.md',
    'configs/instbox/ablations/README.md': 'zoo/ablations.md',
    'configs/instbox/any_model/README.md': 'zoo/any_model.md',
    'demo/README.md': 'zoo/model_card.md',
    'demo/samples/README.md': 'zoo/samples.md',
}
API = ('apis', 'core', 'models', 'datasets', 'engine', 'evaluation', 'visualization', 'deploy',
       'utils', 'cli', 'web')
TOOLS = ('tools', 'tools/analysis_tools', 'tools/dataset_converters', 'tools/model_converters')
FIGURES = ('mIoU', 'APr_0.5', 'APr_0.7', 'APr_vol', 'AP50')


def point_links(text: str, file: Path, repository: str) -> str:
    """Markdown in which links lead to pages of the site, or to files of the repository.

    Args:
        text: The Markdown of ``file``, where links are relative to the file, as GitHub reads them.
        file: Path of the file, in ``docs/`` or elsewhere in the repository.
        repository: Address of the repository's root. ``/..`` lets MyST offer files as downloads.
    """
    def point(match: re.Match) -> str:
        before, path, anchor, after = match.groups(default='')
        target = (file.parent / path).resolve()
        if path.startswith('/') or not target.is_relative_to(ROOT) or not target.exists():
            return match.group()
        name = target.relative_to(ROOT).as_posix()
        if name in INCLUDED:
            place = f'/{INCLUDED[name]}'
        elif name.removeprefix('mmseg_instbox/') in API:
            place = f'/api/{target.name}.md'
        elif name.startswith('docs/'):
            place = f'/{name.removeprefix("docs/")}'
        else:
            place = f'{repository}/{name}'
        return f'{before}{place}{anchor}{after}'

    return LINK.sub(point, text)


def write_generated(docs: Path) -> None:
    """Write the parts of pages that are made from metafiles and code to ``docs/_generated``."""
    folder = docs / '_generated'
    folder.mkdir(exist_ok=True)
    (folder / 'model_zoo.md').write_text(model_zoo(docs.parent))
    (folder / 'commands.md').write_text(commands_page(docs.parent))
    for name in API:
        (folder / f'api_{name}.md').write_text(api_page(name))


def model_zoo(root: Path) -> str:
    """Markdown of the model zoo: a table of measured models, and lists of all configs."""
    metafiles = [root / name for name in _read(root / 'model-index.yml')['Import']]
    models = [(file, model) for file in metafiles for model in _read(file)['Models']]
    head = ('config', 'params', 'ms an image', 'evaluated on', *FIGURES, 'weights')
    lines = [f'| {" | ".join(head)} |', '| --- ' * len(head) + '|']
    lines += [row for _, model in models for row in _rows(root, model)]
    lines += ['', '## All configs', '']
    for file in metafiles:
        mine = [model for place, model in models if place == file]
        readme = (file.parent / 'README.md').relative_to(root).as_posix()
        title = _title(root / readme)
        lines += [f'**[{title}](../../{readme})**', '', f':::{{dropdown}} {len(mine)} configs']
        lines += [f'- {_config_link(model)}' for model in mine]
        lines += [':::', '']
    return '\n'.join(lines)


def commands_page(root: Path) -> str:
    """Markdown of the command line: the help of each command, and a table of the scripts."""
    group = importlib.import_module('mmseg_instbox.cli.main').cli
    top = click.Context(group, info_name='instbox', terminal_width=90, **group.context_settings)
    lines = []
    for name in group.list_commands(top):
        command = group.get_command(top, name)
        help_text = command.get_help(click.Context(command, top, info_name=name))
        lines += [f'## instbox {name}', '', f'```text\n{help_text}\n```', '']
    lines += ['## Scripts', '', '| script | what it does |', '| --- | --- |']
    for file in [file for folder in TOOLS for file in sorted((root / folder).glob('*.py'))]:
        summary = ast.get_docstring(ast.parse(file.read_text())).partition('\n')[0]
        path = file.relative_to(root).as_posix()
        lines.append(f'| [`{path}`](../../{path}) | {summary} |')
    return '\n'.join(lines)


def api_page(name: str) -> str:
    """Markdown that documents the subpackage ``mmseg_instbox.NAME``.

    First the names that the package exports, then each module.
    """
    package = importlib.import_module(f'mmseg_instbox.{name}')
    lines = [f'{(package.__doc__ or "").strip()}', '']
    exported = {each: getattr(package, each) for each in sorted(getattr(package, '__all__', ()))}
    if exported:
        lines += [f'`from mmseg_instbox.{name} import ...`', '']
        lines += [f'- {_name_link(each, value)}' for each, value in exported.items()]
    for module in _modules(package.__name__):
        lines += ['', f'## `{module.removeprefix("mmseg_instbox.")}`', '',
                  f'```{{eval-rst}}\n.. automodule:: {module}\n```']
    return '\n'.join(lines)


def _name_link(name: str, value: object) -> str:
    """A link to where a name is defined, with the first line of its docstring."""
    if not isinstance(value, type | FunctionType):
        return f'`{name}`'
    summary = re.sub(r':\w+:`~?([^`]*)`', r'`\1`', (value.__doc__ or '').partition('\n')[0])
    return f'{{py:obj}}`{name} <{value.__module__}.{value.__qualname__}>`: {summary}'


def _modules(package: str) -> Iterator[str]:
    """The names of the modules that define something public, below a package."""
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f'{package}.'):
        members = vars(importlib.import_module(module.name)).items()
        if any(getattr(value, '__module__', None) == module.name and not name.startswith('_')
               for name, value in members):
            yield module.name


def _rows(root: Path, model: dict) -> Iterator[str]:
    """The rows of a model, one for each list of images on which it was evaluated."""
    for number, result in enumerate(model.get('Results', [])):
        figures = [_figure(result['Metrics'].get(name)) for name in FIGURES]
        metadata = model.get('Metadata', {})
        first = [_config_link(model), metadata.get('Parameters', ''), _latency(metadata)]
        last = [_checkpoint(root, model.get('Weights'))]
        if number:
            first, last = [''] * len(first), ['']
        yield f'| {" | ".join([*first, result["Dataset"], *figures, *last])} |'


def _latency(metadata: dict) -> str:
    """Milliseconds an image, each with its hardware."""
    return '; '.join(f'{each["value"]} ({each["hardware"]})'
                     for each in metadata.get('inference time (ms/im)', []))


def _figure(value: float | None) -> str:
    return '' if value is None else f'{value:.3f}'.removeprefix('0')


def _config_link(model: dict) -> str:
    return f'[`{model["Name"]}`](../../{model["Config"]})'


def _checkpoint(root: Path, weights: str | None) -> str:
    """A link to the weights with their size, or how to get some."""
    if weights is None:
        return 'train it'
    if '://' in weights:
        return f'[weights]({weights})'
    return f'[{(root / weights).stat().st_size / 1e6:.1f} MB](../../{weights})'


def _read(file: Path) -> dict:
    return yaml.safe_load(file.read_text())


def _title(readme: Path) -> str:
    return readme.read_text().partition('\n')[0].removeprefix('# ')
