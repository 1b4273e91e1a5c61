"""Names of packages that are imported when they are first used."""
import pytest

import mmseg_instbox
from mmseg_instbox import apis, deploy, engine


@pytest.mark.parametrize('package, expected', [
    (apis, 'InstBoxInferencer'), (deploy, 'ExportedModel'), (engine, 'load_config')])
def test_each_name_that_editors_see_is_there(package, expected):
    assert expected in package.__all__
    for name in package.__all__:
        assert getattr(getattr(package, name), '__name__', name) == name


def test_the_package_offers_its_subpackages():
    assert {'engine', 'models', 'InstBoxError'} < set(mmseg_instbox.__all__)
    assert all(hasattr(mmseg_instbox, name) for name in mmseg_instbox.__all__)
    assert mmseg_instbox.engine is engine


@pytest.mark.parametrize('package', [engine, mmseg_instbox])
def test_another_name_is_refused(package):
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'gone'"):
        package.gone  # noqa: B018
