"""One family of exceptions for whatever a user can mend."""
import ast
import sys
from pathlib import Path

import pytest

import mmseg_instbox
from mmseg_instbox import errors
from mmseg_instbox.errors import InstBoxError

ROOT = Path(mmseg_instbox.__file__).resolve().parents[1]
SOURCES = [file for folder in ('mmseg_instbox', 'tools') for file in (ROOT / folder).rglob('*.py')
           if 'benchmarks' not in file.parts]
MEMBERS = [each for each in vars(errors).values()
           if isinstance(each, type) and each is not InstBoxError]
# what a program does not raise for its user to mend
PROTOCOL = {'AttributeError', 'KeyError', 'NotImplementedError', 'StopIteration',
            'KeyboardInterrupt', 'SystemExit'}
BUILTIN = {name for name, value in vars(__builtins__ if not isinstance(__builtins__, dict) else
                                        sys.modules['builtins']).items()
           if isinstance(value, type) and issubclass(value, BaseException)}


def raised_names(file: Path) -> list[tuple[int, str]]:
    """Line and name of each exception that a file raises by a plain name."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call | ast.Name):
            name = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(name, ast.Name):
                found.append((node.lineno, name.id))
    return found


@pytest.mark.parametrize('member', MEMBERS)
def test_a_member_is_also_the_builtin_that_programs_expect(member):
    assert issubclass(member, InstBoxError)
    assert issubclass(member, ValueError | TypeError | OSError | ImportError | IndexError
                      | RuntimeError)
    assert member.__doc__
    with pytest.raises(InstBoxError, match='a sentence'):
        raise member('a sentence')  # registries and processes raise it again from its message


def test_nothing_for_the_user_is_raised_outside_the_family():
    assert len(SOURCES) > 100
    outside = [f'{file.relative_to(ROOT)}:{line}: {name}' for file in SOURCES
               for line, name in raised_names(file)
               if name in BUILTIN - PROTOCOL]
    assert not outside


def test_the_package_offers_the_family():
    assert mmseg_instbox.InstBoxError is InstBoxError
