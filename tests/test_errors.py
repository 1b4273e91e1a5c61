"""One family of exceptions for whatever a user can mend."""
import ast
import sys
from pathlib import Path

import pytest

import mmseg_instbox
from mmseg_instbox import errors
from mmseg_instbox.errors import InstBoxError, InvalidInputError, MissingFileError
from mmseg_instbox.utils.foreign_errors import MAX_REASON, convert_errors, describe

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


def test_what_another_package_raises_becomes_a_sentence_that_keeps_its_cause():
    with pytest.raises(InvalidInputError, match=r"^x.json cannot be read \(KeyError: 'size'\)\.$"
                       ) as caught, convert_errors('x.json cannot be read'):
        raise KeyError('size')
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_error_of_the_family_passes_as_it_is():
    with pytest.raises(MissingFileError, match='^gone$'), convert_errors('x cannot be read'):
        raise MissingFileError('gone')


def test_kinds_that_bad_input_does_not_lead_to_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), convert_errors('x cannot be built', KeyError, TypeError):
        raise ZeroDivisionError


def test_a_foreign_message_becomes_one_line_of_bounded_length():
    with pytest.raises(InvalidInputError) as caught, convert_errors('x cannot be read'):
        raise RuntimeError('a\n  b ' * 1000)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < MAX_REASON + 40


@pytest.mark.parametrize('error, text', [
    (MissingFileError('a.jpg: no such file'), 'a.jpg: no such file'),
    (OSError('disk full'), 'disk full'),
    (RuntimeError('out of\nmemory'), 'a.jpg: unexpected RuntimeError: out of memory'),
    (KeyError('size'), "a.jpg: unexpected KeyError: 'size'")])
def test_unexpected_errors_are_described_with_their_type(error, text):
    assert describe(error, 'a.jpg') == text
