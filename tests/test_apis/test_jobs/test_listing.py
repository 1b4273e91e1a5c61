"""Which images and videos a job is about."""
import os
import shutil

import numpy as np
import pytest

from mmseg_instbox.apis import read_inputs
from mmseg_instbox.apis.jobs.listing import (
    JobInput,
    list_inputs,
    open_input,
    output_names,
)
from mmseg_instbox.apis.jobs.storage import Storage
from mmseg_instbox.errors import InvalidInputError, MissingFileError


def list_images(inputs):
    return list_inputs(inputs)[0]


def test_a_folder_has_the_images_of_one_process(folder):
    listed = list_images([str(folder), str(folder / '000.jpg')])  # one of them twice
    assert [each.image for each in listed] == [image.path for image in read_inputs(folder)]
    facts = os.stat(folder / '000.jpg')
    assert (listed[0].size, listed[0].time) == (facts.st_size, facts.st_mtime_ns)


def test_an_address_stands_for_all_images_beneath(folder):
    (folder / 'deep').mkdir()
    shutil.copy(folder / '000.jpg', folder / 'deep' / 'x.PNG')
    (folder / 'notes.txt').write_text('no image')
    listed = list_images([f'file://{folder}'])
    assert len(listed) == 9 and listed[-1].image == f'file://{folder}/deep/x.PNG'
    (one, ) = list_images([f'file://{folder}/000.jpg'])
    assert one == listed[0]._replace(root=one.root, path='')


@pytest.mark.parametrize('kind', ['path', 'file', 'memory'])
def test_images_are_opened_where_they_are(kind, folder):
    if kind == 'memory':
        storage = Storage('memory://listing')
        storage.write((folder / '000.jpg').read_bytes(), '000.jpg')
    inputs = dict(path=str(folder), file=f'file://{folder}', memory='memory://listing')[kind]
    image = open_input(list_images([inputs])[0])
    assert np.array_equal(image.load(), next(read_inputs(folder)).load())


def test_broken_and_missing_images_fail_with_their_address(folder):
    (folder / '000.jpg').write_bytes(b'no picture')
    listed = list_images([f'file://{folder}'])
    (folder / '001.jpg').unlink()
    for image, reason in zip(listed, ('not an image', 'no such file'), strict=False):
        with pytest.raises(ValueError if 'not' in reason else OSError, match=reason) as error:
            open_input(image).load()
        assert image.image in str(error.value)


def test_inputs_that_cannot_be(folder, tmp_path):
    (tmp_path / 'empty').mkdir()
    for inputs, kind, reason in (
            ('file:///not/there', MissingFileError, 'no such file or directory'),
            (f'file://{tmp_path}/empty', MissingFileError, 'no images'),
            (str(tmp_path / 'empty'), MissingFileError, 'no images'),
            ('s4://bucket', InvalidInputError, 'neither')):
        with pytest.raises(kind, match=reason):
            list_images([inputs])


def test_videos_are_told_from_images(tmp_path):
    for name in ('a.jpg', 'a.mp4', 'b.AVI', 'c.txt'):
        (tmp_path / name).write_bytes(b'x')
    images, videos = ([each.image for each in kind] for kind in list_inputs(
        [str(tmp_path / '*'), 'https://host/x.jpg', 'gone.mp4', str(tmp_path / 'a.mp4')]))
    assert images == [str(tmp_path / 'a.jpg'), 'https://host/x.jpg', 'gone.mp4']
    assert videos == [str(tmp_path / 'a.mp4'), str(tmp_path / 'b.AVI')]
    assert list_inputs([str(tmp_path)])[1] == []


def test_results_of_jobs_are_no_inputs(folder):
    """Neither of a pattern nor where a shell has expanded it, nor in a store."""
    drawing = folder / 'out' / 'vis' / 'a.jpg'
    for place in ('out/parquet/0.parquet', 'out/settings.json', 'out/vis/a.jpg', 'out/png/a.png',
                  'out/mine.jpg', 'vis/b.jpg'):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / '000.jpg', folder / place)
    expected = sorted([*map(str, folder.glob('*.jpg')), f'{folder}/out/mine.jpg',
                       f'{folder}/vis/b.jpg'])
    for inputs in ([f'{folder}/**/*'], sorted(map(str, folder.rglob('*.jpg')))):
        assert sorted(each.image for each in list_images(inputs)) == expected
    assert [each.image for each in list_images([f'file://{folder}'])] == [
        f'file://{each}' for each in expected]
    for meant in (drawing, drawing.parent, f'{drawing.parent}/*'):
        assert [each.image for each in list_images([str(meant)])] == [str(drawing)]


def test_names_of_results_differ_and_stay_in_the_folder():
    places = ['/x/a.jpg', '/y/a.png', 's3://bucket/a.jpg', 'https://host/my%20cat.jpg?size=1',
              'https://host/..%2Fup.jpg', '/x/a:b.png', '/x/a_b.png']
    names = output_names([JobInput(place, 0, 0) for place in places])
    assert list(names) == places
    assert list(names.values()) == ['a', 'y/a', 'bucket/a', 'my cat', 'up', 'a_b', 'x/a_b']
    nothing_in_common = [JobInput(place, 0, 0) for place in ('/x/a.jpg', '/y/b.jpg', '/y/a.jpg')]
    assert list(output_names(nothing_in_common).values()) == ['a', 'b', 'y/a']


@pytest.mark.parametrize('root', ['/photos', 's3://bucket/photos'])
def test_names_of_results_have_the_folders_of_the_inputs(root):
    images, videos = ([JobInput(f'{root}/{name}', 0, 0) for name in names] for names in (
        ['d1/1.jpg', 'd2/1.jpg', 'd2/2.jpg', 'd2/2.png'], ['d1/1.mp4']))
    assert list(output_names(images[:1]).values()) == ['1']
    assert list(output_names(images, videos).values()) == [
        'd1/1', 'd2/1', 'd2/2', 'd2/2_2', 'd1/1']


def test_frames_of_a_video_beside_it_have_names_of_their_own(tmp_path):
    paths = [str(tmp_path / name) for name in ('clip.jpg', 'clip_000000.jpg', 'clip_1.jpg')]
    videos = [JobInput(str(tmp_path / 'clip.mp4'), 1, 1), JobInput(str(tmp_path / 'b.mp4'), 1, 1)]
    names = output_names([JobInput(path, 1, 1) for path in paths], videos)
    assert [*names.values()] == ['clip', 'clip_000000', 'clip_1', 'clip_2', 'b']
