"""Names of the package that are imported when they are first used."""
import ast
from pathlib import Path

import pytest

from mmseg_instbox import engine


def test_each_name_is_there_and_editors_see_the_same():
    tree = ast.parse(Path(engine.__file__).read_text())
    block, = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == engine._PLACES
    for name in engine.__all__:
        assert getattr(engine, name).__name__ == name


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match="'mmseg_instbox.engine' has no attribute 'gone'"):
        engine.gone  # noqa: B018
