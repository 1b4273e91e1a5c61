"""The folder of uploads is bounded: the oldest files make room."""
import os

from mmseg_instbox.web.upload_folder import make_room


def put(folder, name, size, age):
    """A file of so many bytes that is ``age`` seconds old."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    os.utime(file, (1e9 - age, 1e9 - age))
    return file


def test_the_oldest_files_go_until_the_others_fit(tmp_path):
    files = [put(tmp_path, f'{age}/a.png', 100, age) for age in (40, 30, 20, 10)]
    make_room(tmp_path, 400)
    assert all(file.exists() for file in files)
    make_room(tmp_path, 399)
    assert [file.exists() for file in files] == [False, True, True, True]
    make_room(tmp_path, 110)
    assert [file.exists() for file in files] == [False, False, False, True]
    assert [each.name for each in tmp_path.iterdir()] == ['10']  # no empty folders


def test_samples_of_the_page_stay_and_do_not_count(tmp_path):
    sample = put(tmp_path, 'samples-1/cat.jpg', 1000, 99)
    upload = put(tmp_path, 'samples/cat.jpg', 50, 10)  # a name that only resembles theirs
    make_room(tmp_path, 50)
    assert sample.exists() and upload.exists()
    make_room(tmp_path, 0)
    assert sample.exists() and not upload.exists()


def test_a_folder_with_another_file_in_it_stays(tmp_path):
    old, new = put(tmp_path, 'a/old.png', 10, 20), put(tmp_path, 'a/new.png', 10, 10)
    make_room(tmp_path, 10)
    assert new.exists() and not old.exists()


def test_a_folder_that_is_not_there_is_empty(tmp_path):
    make_room(tmp_path / 'none', 0)
