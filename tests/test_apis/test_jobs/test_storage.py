"""Directories here and in object stores."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmseg_instbox.apis.jobs.storage import Storage
from mmseg_instbox.errors import FileAccessError, InvalidInputError, MissingFileError


@pytest.fixture(params=['path', 'file', 'memory'])
def storage(request, tmp_path):
    """A path, an address of a path, and one of a store."""
    kinds = dict(path=str(tmp_path / 'dir'), file=f'file://{tmp_path}/dir',
                 memory=f'memory://{tmp_path.name}/dir')
    return Storage(kinds[request.param])


def test_what_is_written_is_read_listed_and_removed(storage):
    name = 'deep/er/file.bin'
    assert storage.files('deep') == []
    storage.write(b'one', name)
    storage.write(b'other', name)
    assert storage.read(name) == b'other'
    assert [each.name for each in storage.files()] == [name]
    (facts, ) = storage.files(name)
    assert facts.size == 5 and facts.time > 1e18 and storage.exists(name)
    storage.remove(name)
    storage.remove(name)
    assert not storage.exists(name)
    with pytest.raises(MissingFileError, match=r'file\.bin: no such file'):
        storage.read(name)


def test_a_folder_is_uploaded_with_all_files(storage, tmp_path):
    (tmp_path / 'results' / 'deep').mkdir(parents=True)
    (tmp_path / 'results' / 'long.json').write_bytes(b'a' * (1 << 24))
    (tmp_path / 'results' / 'deep' / 'x.png').write_bytes(b'x')
    storage.upload(tmp_path / 'results', 'there')
    assert storage.read('there/long.json') == b'a' * (1 << 24)
    assert storage.read('there/deep/x.png') == b'x'
    assert len(storage.files()) == 2


def test_a_store_that_does_not_answer_is_an_error():
    """And not an empty one."""
    storage = Storage('s3://KEY:SECRET@bucket/photos?endpoint_override=localhost:1&scheme=http')
    with ThreadPoolExecutor() as pool:  # PyArrow asks for six seconds
        asked = [pool.submit(ask) for ask in (storage.files, storage.exists, storage.read)]
    for each in asked:
        with pytest.raises(FileAccessError, match='s3://bucket/photos') as error:
            each.result()
        assert 'SECRET' not in str(error.value)


def test_addresses_name_no_credentials():
    storage = Storage('s3://KEY:SECRET@bucket/photos?endpoint_override=localhost:1&scheme=http')
    assert storage.address('a.jpg') == 's3://bucket/photos/a.jpg'


@pytest.mark.parametrize('place', ['nowhere://KEY:SECRET@bucket/photos', 's4://bucket'])
def test_an_address_that_nobody_knows(place):
    with pytest.raises(InvalidInputError, match='neither PyArrow nor fsspec') as error:
        Storage(place)
    assert 'SECRET' not in str(error.value)


def test_an_address_that_cannot_be_is_told_without_credentials():
    with pytest.raises(InvalidInputError, match='s3://bucket/photos') as error:
        Storage('s3://KEY:SECRET@bucket/photos?nonsense=1')
    assert 'SECRET' not in str(error.value)
