"""Names of packages that are imported when they are first used."""
import pytest

from mmseg_instbox import apis, deploy, engine


@pytest.mark.parametrize('package, expected', [
    (apis, 'InstBoxInferencer'), (deploy, 'ExportedModel'), (engine, 'load_config')])
def test_each_name_that_editors_see_is_there(package, expected):
    assert expected in package.__all__
    for name in package.__all__:
        assert getattr(getattr(package, name), '__name__', name) == name


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match="'mmseg_instbox.engine' has no attribute 'gone'"):
        engine.gone  # noqa: B018
