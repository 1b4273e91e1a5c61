import matplotlib
import pytest
from mmengine.utils import digit_version


@pytest.fixture
def exact_canvas() -> None:
    """For tests that compare pixels of what MMEngine's visualizer returns."""
    if digit_version(matplotlib.__version__) < digit_version('3.11'):
        pytest.skip('matplotlib before 3.11 draws the images of MMEngine a pixel aside')
