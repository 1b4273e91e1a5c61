"""The package works under the original and the maintained distributions of OpenMMLab's packages.

Both install the same modules under other distribution names. In a fresh process
``importlib.metadata`` is made to know one kind of names, both, or none, each for the files that are
installed. Only those files' own ``version.py`` is answered, which asks for the name it came under.
"""
import json
from importlib import metadata

import pytest

ORIGINAL = dict(mmcv='mmcv', mmseg='mmsegmentation', mmdet='mmdet')
MAINTAINED = dict(mmcv='onedl-mmcv', mmseg='onedl-mmsegmentation', mmdet='onedl-mmdetection')

# the same distributions, known by other names, before anything else is imported
RENAMED = """
import json
import sys
from importlib import metadata

named, hidden = json.loads(sys.argv[1])
real = metadata.Distribution.from_name.__func__

class Renamed(metadata.PathDistribution):
    def __init__(self, distribution, name):
        super().__init__(distribution._path)
        self.called = name
    metadata = property(lambda self: {'Name': self.called, 'Version': self.number})
    number = property(lambda self: metadata.PathDistribution.metadata.fget(self)['Version'])
    version = property(lambda self: self.number)

def own_version():
    frame = sys._getframe()
    while frame and not frame.f_code.co_filename.endswith('/version.py'):
        frame = frame.f_back
    return frame is not None

def from_name(cls, name):
    if own_version():
        return real(cls, name)
    if name in named:
        return Renamed(real(cls, named[name]), name)
    if name in hidden:
        raise metadata.PackageNotFoundError(name)
    return real(cls, name)

metadata.Distribution.from_name = classmethod(from_name)
"""

WORK = """
import warnings
warnings.simplefilter('ignore')
import mmseg_instbox
from mmseg_instbox.apis import InstBoxInferencer, load_model
from mmseg_instbox.engine import load_config
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmseg.registry import MODELS

bases = {base: len(Config.fromfile(write(base))) for base in (
    'mmseg::_base_/models/fcn_r50-d8.py', 'mmdet::_base_/default_runtime.py')}
model = load_model(load_config(sys.argv[3]), device='cpu')
print(json.dumps(dict(
    table={name: MODULE2PACKAGE.get(name) for name in ('mmseg', 'mmdet')}, bases=bases,
    segmentor=MODELS.get('InstBoxSegmentor').__module__, model=type(model).__name__)))
"""
WRITE = """
from pathlib import Path
def write(base):
    file = Path(sys.argv[2], base.replace('/', '_').replace(':', '_'))
    file.write_text(f'_base_ = [{base!r}]')
    return str(file)
"""


@pytest.fixture
def run(run_fresh):
    """A function that runs code in a process in which distributions have other names; what it
    prints last."""
    def run(code, named, hidden, *arguments):
        done = run_fresh(RENAMED + code, json.dumps([named, hidden]), *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def installed() -> dict[str, str]:
    """The name under which each module's distribution is installed here."""
    names = {}
    for module in ORIGINAL:
        for name in (MAINTAINED[module], ORIGINAL[module]):
            try:
                names[module] = metadata.distribution(name).metadata['Name']
                break
            except metadata.PackageNotFoundError:
                continue
    return names


def names_for(kind: str) -> tuple[dict[str, str], list[str]]:
    """Which names stand for which installed distribution, and which names nobody knows."""
    here, known = installed(), dict(original=[ORIGINAL], maintained=[MAINTAINED],
                                    both=[ORIGINAL, MAINTAINED], neither=[])[kind]
    named = {names[module]: here[module] for names in known for module in here}
    return named, sorted({*ORIGINAL.values(), *MAINTAINED.values()} - set(named))


def test_the_package_works_under_the_original_names(run, tmp_path, tiny_config):
    """All other tests run under the maintained ones."""
    found = run(WRITE + WORK, *names_for('original'), tmp_path, tiny_config)
    assert found['table'] == {name: ORIGINAL[name] for name in ('mmseg', 'mmdet')}
    assert min(found['bases'].values()) > 0
    assert found['segmentor'] == 'mmseg_instbox.models.segmentors.inst_box_segmentor'
    assert found['model'] == 'InstBoxSegmentor'


@pytest.mark.parametrize('kind, expected', [('both', MAINTAINED), ('neither', ORIGINAL)])
def test_which_names_are_taken(run, kind, expected):
    """None are known in a checkout or a frozen application, which has files without metadata."""
    code = """
import mmseg_instbox.utils.openmmlab as openmmlab
table = dict(mmseg='mmsegmentation', mmdet='mmdet')  # as MMEngine has them
openmmlab.register_packages(table)
import mmseg_instbox.cli.main
print(json.dumps(table))
"""
    table = run(code, *names_for(kind))
    assert {name: table[name] for name in ('mmseg', 'mmdet')} == {
        name: expected[name] for name in ('mmseg', 'mmdet')}
