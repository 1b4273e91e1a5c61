"""Settings of the documentation site. ``make docs`` builds it."""
import os
import sys
from inspect import isroutine
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

from site_pages import point_links, write_generated  # noqa: E402

from mmseg_instbox import __version__  # noqa: E402
from mmseg_instbox.utils.openmmlab import quiet_imports  # noqa: E402

project = 'mmseg_instbox'
author = 'MMSeg InstBox contributors'
copyright = f'2026, {author}'
version = release = __version__

extensions = [
    'myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode',
    'sphinx_copybutton', 'sphinx_design'
]
exclude_patterns = ['_build', '_generated', '**/.ipynb_checkpoints']
myst_enable_extensions = ['colon_fence', 'deflist']
myst_heading_anchors = 4
nb_execution_mode = 'off'  # tests/test_docs/test_tutorials.py runs the notebooks
copybutton_exclude = '.linenos, .gp, .go'

autodoc_default_options = {'members': True, 'show-inheritance': True, 'ignore-module-all': True}
autodoc_member_order = 'bysource'
add_module_names = False
autodoc_typehints_format = 'short'
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = 'hide'

html_theme = 'furo'
html_title = f'mmseg_instbox {version}'
html_static_path = ['_static']
html_css_files = ['site.css']

# files that are no page: on GitHub where its workflow builds the site, else downloads
if 'GITHUB_REPOSITORY' in os.environ:
    REPOSITORY = '{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/blob/{GITHUB_SHA}'.format_map(os.environ)
else:
    REPOSITORY = '/..'


def setup(app):
    """Writes the generated pages, and lets all links lead to pages of the site or to files."""
    with quiet_imports():
        write_generated(DOCS)

    def of_page(app, name, source):
        source[0] = point_links(source[0], DOCS / f'{name}.md', REPOSITORY)

    def of_include(app, path, parent, source):
        source[0] = point_links(source[0], DOCS / path, REPOSITORY)

    def without_noise(app, what, name, value, skip, options):
        is_field = type(value).__name__ == '_tuplegetter'  # of a NamedTuple: says nothing
        foreign = isroutine(value) and project not in str(getattr(value, '__module__', ''))
        return skip or is_field or foreign

    app.connect('autodoc-skip-member', without_noise)
    app.connect('source-read', of_page)
    app.connect('include-read', of_include)
