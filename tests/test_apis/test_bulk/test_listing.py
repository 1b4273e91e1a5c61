"""Which images a bulk run is about."""
import os
import shutil

import numpy as np
import pytest

pytest.importorskip('pyarrow')

from mmseg_instbox.apis import read_inputs  # noqa: E402
from mmseg_instbox.apis.bulk.listing import ImageOpener, list_images  # noqa: E402
from mmseg_instbox.apis.bulk.storage import Storage  # noqa: E402
from mmseg_instbox.errors import InvalidInputError, MissingFileError  # noqa: E402


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
    assert one == listed[0]._replace(root=one.root)


@pytest.mark.parametrize('kind', ['path', 'file', 'memory'])
def test_images_are_opened_where_they_are(kind, folder):
    if kind == 'memory':
        storage = Storage('memory://listing')
        storage.write((folder / '000.jpg').read_bytes(), storage.inside('000.jpg'))
    inputs = dict(path=str(folder), file=f'file://{folder}', memory='memory://listing')[kind]
    image = ImageOpener()(list_images([inputs])[0])
    assert np.array_equal(image.load(), next(read_inputs(folder)).load())


def test_broken_and_missing_images_fail_with_their_address(folder):
    (folder / '000.jpg').write_bytes(b'no picture')
    listed = list_images([f'file://{folder}'])
    (folder / '001.jpg').unlink()
    for image, reason in zip(listed, ('not an image', 'no such file'), strict=False):
        with pytest.raises(ValueError if 'not' in reason else OSError, match=reason) as error:
            ImageOpener()(image).load()
        assert image.image in str(error.value)


def test_inputs_that_cannot_be(folder, tmp_path):
    (tmp_path / 'empty').mkdir()
    (folder / 'film.mp4').write_bytes(b'')
    for inputs, kind, reason in (
            ('file:///not/there', MissingFileError, 'no such file or directory'),
            (f'file://{tmp_path}/empty', MissingFileError, 'no images'),
            (str(tmp_path / 'empty'), MissingFileError, 'no images'),
            (str(folder / '*'), InvalidInputError, 'videos are not'),
            ('s4://bucket', InvalidInputError, 'neither')):
        with pytest.raises(kind, match=reason):
            list_images([inputs])
