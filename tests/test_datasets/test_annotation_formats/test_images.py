import os
import unicodedata

from mmseg_instbox.datasets.annotation_formats.images import ImageFinder


def test_equal_folders_come_first_then_the_near_ones_then_the_shallow(tmp_path, picture):
    for name in ('a.jpg', 'x/a.jpg', 'x/y/a.jpg', 'z/y/A.jpg'):
        picture(name)
    finder = ImageFinder(tmp_path)
    assert finder.find('a.jpg') == 'a.jpg'
    assert finder.find('a.jpg', near='x') == 'x/a.jpg'
    assert finder.find('/home/me/Z/Y/a.jpg', near='x') == 'z/y/A.jpg'
    assert finder.find('A', near='z') == 'z/y/A.jpg'
    assert finder.find('b.jpg') is None and finder.find('') is None
    assert ImageFinder(picture('my b.png.jpeg').parent).find('my b.png') == 'my b.png.jpeg'


def test_links_are_followed_and_hidden_files_are_not_seen(tmp_path, picture):
    picture('data/a.jpg')
    picture('data/.thumbnails/b.jpg')
    picture('data/.c.jpg')
    picture('far/d.jpg')
    os.symlink(tmp_path / 'far', tmp_path / 'data' / 'link')
    os.symlink(tmp_path / 'data', tmp_path / 'data' / 'loop')
    assert ImageFinder(tmp_path / 'data').files == ['a.jpg', 'link/d.jpg']


def test_sizes_are_those_of_the_image_as_shown(tmp_path, picture):
    picture('a.jpg', orientation=6)
    assert ImageFinder(tmp_path).info('a.jpg') == (40, 60, 6)


def test_truncated_images_are_found(tmp_path, picture):
    picture('a.jpg')
    whole = picture('b.png', size=(200, 200)).read_bytes()
    (tmp_path / 'b.png').write_bytes(whole[:len(whole) // 2])
    assert [*ImageFinder(tmp_path).find_broken(['a.jpg', 'b.png'])] == ['b.png']


def test_addresses_lead_to_images_and_folders_of_archives_do_not(tmp_path, picture):
    picture('images/a b.jpg')
    picture('__MACOSX/images/a b.jpg')
    finder = ImageFinder(tmp_path)
    assert finder.files == ['images/a b.jpg']
    for name in ('https://host/x/a%20b.jpg?token=1', 'file:///home/me/a%20b.JPG', 'a%20b.jpg',
                 '/data/local-files/?d=a%20b.jpg', 'C:\\data\\a b.jpg'):
        assert finder.find(name) == 'images/a b.jpg'


def test_letters_with_accents_are_one_character_or_two(tmp_path, picture):
    """Archives of a Mac hold other names than the annotations in them."""
    forms = [unicodedata.normalize(form, 'Bär/한국 é.jpg') for form in ('NFC', 'NFD')]
    for stored, asked in (forms, forms[::-1]):
        picture(f'{len(stored)}/{stored}')
        picture(f'{len(stored)}/other/{stored[4:]}')
        finder = ImageFinder(tmp_path / str(len(stored)))
        assert finder.find(asked) == stored != asked
