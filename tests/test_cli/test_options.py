import pytest

from mmseg_instbox.apis.formats import FORMATS
from mmseg_instbox.cli.main import cli
from mmseg_instbox.cli.options import spread_settings
from mmseg_instbox.utils import FORMAT_NAMES


@pytest.mark.parametrize('given, spread', [
    ('--cfg-options a=1 b=2 c.py', '--cfg-options a=1 --cfg-options b=2 c.py'),
    ('c.py --cfg-options a=1 --amp b=2', 'c.py --cfg-options a=1 --amp b=2'),
    ('--cfg-options a=1 --cfg-options b=2 c=3',
     '--cfg-options a=1 --cfg-options b=2 --cfg-options c=3'),
    ('c.py --amp', 'c.py --amp'),
])
def test_settings_may_follow_one_option_as_in_the_tools(given, spread):
    assert spread_settings(given.split()) == spread.split()


def test_settings_are_read_as_the_tools_read_them():
    words = 'c.py --cfg-options a.b=1 c=1e-3 d=x,y e=[(1,2),(3,4)] f=True g=None'.split()
    command = cli.get_command(None, 'train')
    assert command.make_context('train', words).params['cfg_options'] == {
        'a.b': 1, 'c': 1e-3, 'd': ['x', 'y'], 'e': [(1, 2), (3, 4)], 'f': True, 'g': None}
    assert command.make_context('train', ['c.py']).params['cfg_options'] is None


def test_brackets_that_do_not_close_are_a_wrong_command_line(fails):
    assert 'Imbalanced brackets' in fails('train', 'c.py', '--cfg-options', 'a=[(1,2]', exit_code=2)


def test_formats_are_those_that_there_are(fails):
    assert FORMAT_NAMES == tuple(FORMATS)
    command = cli.get_command(None, 'predict')
    for text, names in (('coco, png,coco', ('coco', 'png')), ('', ())):
        assert command.make_context('predict', ['x', '--format', text]).params['formats'] == names
    assert "'bmp' is not one of coco, png" in fails('predict', 'x', '--format', 'bmp', exit_code=2)
