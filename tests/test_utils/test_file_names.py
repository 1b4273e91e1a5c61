"""Names of files that strangers chose stay where they belong."""
from pathlib import PurePath

import pytest

from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils import write_json
from mmseg_instbox.utils.file_names import (
    check_inside,
    common_folder,
    distinct_name,
    file_name,
    relative_name,
)


@pytest.mark.parametrize('name', ['a.jpg', 'val2017/a.jpg', 'a..b/c.jpg', 'ä b.jpg', './a', '~/a'])
def test_names_below_the_folder_pass(name):
    assert check_inside(name, 'x.json') == name


@pytest.mark.parametrize('name', [
    '../a.jpg', 'a/../../b.jpg', '..', '/etc/passwd', '\\\\host\\share\\a', '..\\a.jpg',
    'C:\\a.jpg', 'c:a.jpg', 'http://host/a.jpg', 's3://bucket/a.jpg', 'a\x00.jpg', 'a\nb.jpg',
    'a/' * 600])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(InvalidInputError, match='^x.json: image 3 names the file'):
        check_inside(name, 'x.json: image 3')


@pytest.mark.parametrize('name, expected', [
    ('../../etc/passwd', '_.._etc_passwd'), ('a:b', 'a_b'), ('..', 'image'), ('', 'image'),
    ('.hidden', 'hidden'), ('a\x00b', 'a_b')])
def test_any_text_becomes_a_name_in_its_folder(name, expected):
    assert file_name(name) == expected


@pytest.mark.parametrize('letter', ['x', 'ä', '漢'])
def test_a_long_name_is_shortened_and_stays_its_own(letter, tmp_path):
    names = {file_name(letter * count) for count in (200, 201, 5000)}
    assert len(names) == 3
    for name in names:
        assert write_json([], tmp_path / f'{name}.panoptic.json').is_file()


@pytest.mark.parametrize('name, expected', [
    ('d1/1', 'd1/1'), ('../x', 'image/x'), ('/etc/x', 'image/etc/x'), ('a:b/c', 'a_b/c'),
    ('a/./b', 'a/image/b'), ('', 'image'), ('C:\\x', 'C__x')])
def test_relative_names_stay_below_their_folder(name, expected):
    assert relative_name(name) == expected


def test_the_folder_that_files_have_in_common(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert common_folder(['/x/y/a.jpg', '/x/z/a.jpg']) == '/x'
    assert common_folder(['a.jpg', f'{tmp_path}/d/b.jpg']) == str(tmp_path)
    assert common_folder(['s3://bucket/x/a.jpg', 's3://bucket/x/y/a.jpg']) == 's3:/bucket/x'
    assert common_folder(['s3://bucket/a.jpg', '/x/a.jpg']) == common_folder([]) == ''


def test_names_of_files_differ():
    taken = set()
    names = [distinct_name(PurePath(file), taken, root) for file, root in (
        ('/x/d1/1.jpg', '/x'), ('/x/d2/1.jpg', '/x'), ('/x/d2/1.png', '/x'), ('/x/d1/1.jpg', ''),
        ('/y/d1/1.jpg', '/x'), ('/z/1.jpg', '/'))]
    assert names == ['d1/1', 'd2/1', 'd2/1_2', '1', 'y/d1/1', 'z/1']


def test_bytes_that_are_no_utf_8_are_read_as_latin_1():
    name = b'caf\xe9'.decode(errors='surrogateescape')  # as Python gives names of files
    assert file_name(name) == 'café' and distinct_name(PurePath(f'{name}.jpg'), set()) == 'café'
