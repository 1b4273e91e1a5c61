"""Names of packages that are imported when they are first used."""
import ast
from pathlib import Path

import pytest

from mmseg_instbox import apis, deploy, engine


@pytest.mark.parametrize('package', [apis, deploy, engine])
def test_each_name_is_there_and_editors_see_the_same(package):
    tree = ast.parse(Path(package.__file__).read_text())
    block, = (node for node in tree.body if isinstance(node, ast.If))
    seen = [alias.name for node in block.body for alias in node.names]
    assert sorted(seen) == package.__all__
    for name in seen:
        assert getattr(getattr(package, name), '__name__', name) == name


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match="'mmseg_instbox.engine' has no attribute 'gone'"):
        engine.gone  # noqa: B018
