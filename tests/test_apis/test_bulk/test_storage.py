"""Directories here and in object stores."""
import pytest

pytest.importorskip('pyarrow')

from mmseg_instbox.apis.bulk.storage import Storage  # noqa: E402
from mmseg_instbox.errors import InvalidInputError, MissingFileError  # noqa: E402


@pytest.fixture(params=['path', 'file', 'memory'])
def storage(request, tmp_path):
    """A path, an address that PyArrow knows, and one that fsspec knows."""
    kinds = dict(path=str(tmp_path / 'dir'), file=f'file://{tmp_path}/dir',
                 memory=f'memory://{tmp_path.name}/dir')
    return Storage(kinds[request.param])


def test_what_is_written_is_read_listed_and_removed(storage):
    path = storage.inside('deep/er/file.bin')
    assert storage.files(storage.inside('deep'), recursive=True) == []
    storage.write(b'one', path)
    storage.write(b'other', path)
    assert storage.read(path) == b'other'
    assert [each.path for each in storage.files(storage.root, recursive=True)] == [path]
    assert storage.files(storage.root) == []
    assert storage.info(path).size == 5
    storage.remove(path)
    storage.remove(path)
    with pytest.raises(MissingFileError, match=r'file\.bin: no such file'):
        storage.read(path)


def test_a_file_takes_its_place_when_it_is_whole(storage):
    path = storage.inside('long.json')
    with storage.replacing(path) as file:
        file.write(b'a' * (1 << 24))
    with pytest.raises(RuntimeError), storage.replacing(path) as file:
        file.write(b'half')
        raise RuntimeError
    assert storage.read(path) == b'a' * (1 << 24)
    assert [each.path for each in storage.files(storage.root)] == [path]


def test_addresses_name_no_credentials():
    storage = Storage('s3://KEY:SECRET@bucket/photos?endpoint_override=localhost:1&scheme=http')
    assert storage.address(storage.inside('a.jpg')) == 's3://bucket/photos/a.jpg'


@pytest.mark.parametrize('place', ['nowhere://KEY:SECRET@bucket/photos', 's4://bucket'])
def test_an_address_that_nobody_knows(place):
    with pytest.raises(InvalidInputError, match='neither PyArrow nor fsspec') as error:
        Storage(place)
    assert 'SECRET' not in str(error.value)


def test_an_address_that_cannot_be_is_told_without_credentials():
    with pytest.raises(InvalidInputError, match='s3://bucket/photos') as error:
        Storage('s3://KEY:SECRET@bucket/photos?nonsense=1')
    assert 'SECRET' not in str(error.value)
