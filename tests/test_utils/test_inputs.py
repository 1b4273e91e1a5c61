"""Whatever holds pictures gives the same arrays, one at a time, under names that differ."""
import io
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_instbox.datasets.transforms import LoadInstImage
from mmseg_instbox.utils import decoding
from mmseg_instbox.utils.decoding import fetch_image, read_image
from mmseg_instbox.utils.inputs import IMAGE_SUFFIXES, InputImage, read_inputs, select_files


def picture(seed: int = 0, height: int = 20, width: int = 30) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, array: np.ndarray | None = None, **options):
    """Writes an RGB picture; gives the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture() if array is None else array).save(path, **options)
    return path


def names(inputs) -> list[str]:
    return [image.name for image in read_inputs(inputs)]


def load_all(inputs) -> list[np.ndarray]:
    return [image.load() for image in read_inputs(inputs)]


def modes() -> dict[str, Image.Image]:
    """A picture in every mode that files come in with 8 bits a channel."""
    rgb = picture()
    grey, alpha = rgb[..., 0], rgb[..., 1]
    return dict(
        rgb=Image.fromarray(rgb), rgba=Image.fromarray(np.dstack([rgb, alpha])),
        grey=Image.fromarray(grey), grey_alpha=Image.fromarray(np.dstack([grey, alpha]), 'LA'),
        palette=Image.fromarray(rgb).quantize(16), bits=Image.fromarray(grey > 99))


@pytest.mark.parametrize('mode', modes())
@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_files_and_pil_images_are_read_as_by_the_data_sets(tmp_path, mode, orientation):
    path, exif = tmp_path / 'a.png', Image.Exif()
    exif[0x0112] = orientation
    modes()[mode].save(path, exif=exif)
    expected = LoadInstImage()(dict(img_path=str(path)))['img']
    assert expected.shape == ((30, 20, 3) if orientation == 6 else (20, 30, 3))
    for given in (path, str(path), Image.open(path)):
        array, = load_all(given)
        assert array.dtype == np.uint8 and np.array_equal(array, expected), given


@pytest.mark.parametrize('suffix', ['.jpg', '.bmp', '.tif', '.webp', '.ppm'])
def test_formats(tmp_path, suffix):
    path = save(tmp_path / f'a{suffix}')
    expected = LoadInstImage()(dict(img_path=str(path)))['img']
    assert np.array_equal(load_all(path)[0], expected)


def test_cmyk(tmp_path):
    path = tmp_path / 'a.jpg'
    Image.fromarray(picture()).convert('CMYK').save(path)
    assert np.array_equal(load_all(path)[0], LoadInstImage()(dict(img_path=str(path)))['img'])


def test_of_a_moving_picture_the_first_frame_counts(tmp_path):
    frames = [Image.fromarray(np.full((8, 8, 3), 60 * i, np.uint8)) for i in range(3)]
    frames[0].save(tmp_path / 'a.gif', save_all=True, append_images=frames[1:])
    array, = load_all(tmp_path / 'a.gif')
    assert (array == 0).all()


@pytest.mark.parametrize('dtype', [np.uint16, np.int32, np.float32])
def test_deep_grey_images_are_stretched(tmp_path, dtype):
    path, values = tmp_path / 'deep.tif', np.full((100, 100), 1500)
    values[:50], values[0, 0], values[-1, -1] = 1100, 0, 9999  # single pixels do not count
    values[-1, :50], values[0, 50:] = 2000, 1000
    Image.fromarray(values.astype(dtype)).save(path)
    array, = load_all(path)
    expected = ((values - 1000) / (2000 - 1000) * 255).clip(0, 255).round()
    assert np.array_equal(array, expected[..., None].repeat(3, axis=2))
    assert np.array_equal(array, LoadInstImage()(dict(img_path=str(path)))['img'])


def test_a_deep_image_of_one_value_is_black(tmp_path):
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / 'flat.png')
    assert not load_all(tmp_path / 'flat.png')[0].any()


def test_what_is_no_number_leaves_the_rest_of_a_deep_image_visible(tmp_path):
    values = np.repeat(np.float32([0, 1, 2, 4]), 25).reshape(10, 10)
    values[0, :3] = np.inf, -np.inf, np.nan
    Image.fromarray(values).save(tmp_path / 'distances.tif')
    assert np.unique(load_all(tmp_path / 'distances.tif')[0]).tolist() == [0, 64, 128, 255]


def test_arrays():
    array = picture()
    same, grey, thin, clear = load_all([array, array[..., 0], array[..., :1],
                                        np.dstack([array, array[..., 0]])])
    assert np.array_equal(same, array) and np.array_equal(clear, array)
    for each in (grey, thin):
        assert np.array_equal(each, array[..., :1].repeat(3, axis=2))


@pytest.mark.parametrize('array, message', [
    (picture().astype(np.float32), r'image 000000: shape \(20, 30, 3\) of float32'),
    (picture()[None], 'Give several images as a list'), (picture()[:0], 'shape'),
    (picture().transpose(2, 0, 1), '30 channels, expected 3')])
def test_other_arrays_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        load_all(array)


def test_a_list_of_everything(tmp_path):
    path = save(tmp_path / 'photo.png')
    inputs = [path, picture(), Image.open(path), Image.fromarray(picture()), str(tmp_path)]
    images = list(read_inputs(inputs))
    assert [each.name for each in images] == [
        'photo', '000001', 'photo_2', '000003', 'photo_3']
    assert [each.path for each in images] == [str(path), None, str(path), None, str(path)]
    assert read_inputs(inputs).total == 5


def test_a_folder_in_the_order_of_names(tmp_path):
    for name in ('b.jpg', 'a.PNG', 'ü ñ.png', 'sub/c.jpg'):
        save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('no picture')
    assert names(tmp_path) == ['a', 'b', 'ü ñ']
    assert len(load_all(str(tmp_path))) == 3
    assert read_inputs(tmp_path).total == 3


def test_a_pattern_reaches_into_folders(tmp_path):
    for name in ('x/a.jpg', 'y/a.jpg', 'y/z/a.png', 'y/b.jpg'):
        save(tmp_path / name)
    assert names(f'{tmp_path}/**/*.jpg') == ['x/a', 'y/a', 'y/b']
    assert len(names(f'{tmp_path}/**')) == 4


def test_a_pattern_may_begin_with_the_home(tmp_path, monkeypatch):
    save(tmp_path / 'x' / 'a.jpg')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert names('~/x/*.jpg') == names('~/**/*.jpg') == ['a']


def test_a_pattern_follows_no_link_back(tmp_path):
    save(tmp_path / 'x' / 'a.jpg')
    save(tmp_path / 'y' / 'b.jpg')
    (tmp_path / 'x' / 'up').symlink_to('..')
    (tmp_path / 'x' / 'aside').symlink_to('../y')
    assert names(f'{tmp_path}/**/*.jpg') == ['x/a', 'x/aside/b', 'y/b']


def test_a_name_with_brackets_is_a_file_first(tmp_path):
    assert names(save(tmp_path / 'a[1].jpg')) == ['a[1]']


def test_names_of_equal_stems_differ(tmp_path):
    paths = [save(tmp_path / each) for each in ('p/1/a.jpg', 'p/2/a.jpg', 'q/2/a.jpg', 'p/2/a.png')]
    paths += paths[-1:]
    found = names(paths)
    assert found[:3] == ['p/1/a', 'p/2/a', 'q/2/a'] and len(set(found)) == 5
    assert names(each for each in paths)[:3] == ['a', '2/a', 'q/2/a']  # one is known at a time


def test_relative_paths_that_climb(tmp_path, monkeypatch):
    save(tmp_path / 'a.jpg')
    (tmp_path / 'in').mkdir()
    monkeypatch.chdir(tmp_path / 'in')
    assert names(['../a.jpg', '../a.jpg', './../a.jpg']) == ['a', 'a_2', 'a_3']


def test_nothing_is_read_ahead_of_an_iterable():
    taken = []

    def arrays():
        for i in range(5):
            taken.append(i)
            yield picture(i)

    images = read_inputs(arrays())
    assert images.total is None and not taken
    first = next(images)
    assert taken == [0] and np.array_equal(first.load(), picture(0))
    assert [each.name for each in images] == [f'{i:06d}' for i in range(1, 5)]


def test_input_images_pass_through_with_their_names(tmp_path):
    image = InputImage('mine', None, picture)
    assert list(read_inputs(image)) == list(read_inputs([image])) == [image]
    images = read_inputs([image])
    assert read_inputs(images) is images


@pytest.mark.parametrize('inputs', [5, None, b'x', {}, [torch.zeros(3, 8, 8)], [['a.jpg']]])
def test_what_holds_no_pictures_is_refused(inputs):
    with pytest.raises(TypeError, match='Images are given as path, folder'):
        list(read_inputs(inputs))


def test_errors_of_files_are_sentences(tmp_path):
    whole = save(tmp_path / 'photo.png').read_bytes()
    for name, content in (('half.png', whole[:len(whole) // 2]), ('empty.png', b''),
                          ('text.png', b'hello'), ('text.mp4', b'hello')):
        (tmp_path / name).write_bytes(content)
    for name, message in (('half.png', 'half.png: the image is broken or truncated'),
                          ('empty.png', 'empty.png: the file is empty'),
                          ('text.png', r'text.png: not an image that can be read \(unknown format'),
                          ('text.mp4', 'text.mp4: OpenCV cannot read this video')):
        image, = read_inputs([tmp_path / name])
        with pytest.raises(ValueError, match=message):
            image.load()
    image, = read_inputs(tmp_path / 'foto.png')
    with pytest.raises(FileNotFoundError, match='no such file; near it are photo.png'):
        image.load()


def test_folders_and_patterns_without_pictures_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no images in this folder'):
        read_inputs(tmp_path)
    with pytest.raises(FileNotFoundError, match='no image or video matches this pattern'):
        read_inputs(f'{tmp_path}/*.jpg')


@pytest.fixture
def video(tmp_path):
    """Five frames, brighter and brighter."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 24))
    for i in range(5):
        writer.write(np.full((24, 32, 3), 40 * i, np.uint8))
    writer.release()
    return path


def test_a_video_gives_its_frames(video):
    images = list(read_inputs(video))
    assert [each.name for each in images] == [f'clip_{i:06d}' for i in range(5)]
    assert [each.path for each in images] == [None] * 5
    assert [each.load().mean() for each in images] == pytest.approx([0, 40, 80, 120, 160], abs=4)
    assert len([*read_inputs(video.rename(video.with_suffix('.3GP')))]) == 5
    video.with_suffix('.3GP').rename(video)
    assert read_inputs(video).total == 5 and read_inputs([video, picture()]).total == 6


class Pictures(BaseHTTPRequestHandler):
    """Serves a picture, text and too much."""

    def do_GET(self) -> None:
        buffer = io.BytesIO()
        Image.fromarray(picture()).save(buffer, 'PNG')
        content = dict(a=buffer.getvalue(), text=b'hello', large=bytes(5000)).get(
            self.path.split('/')[-1].split('.')[0])
        self.send_response(200 if content else 404)
        self.end_headers()
        self.wfile.write(content or b'')

    def log_message(self, *_) -> None:
        """Silent."""


@pytest.fixture
def server(monkeypatch):
    """Address of a server on this machine."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    server = HTTPServer(('127.0.0.1', 0), Pictures)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def test_addresses(server):
    image, again = read_inputs([f'{server}/deep/a.png?size=2', f'{server}/a.png'])
    assert (image.name, again.name) == ('a', 'a_2') and image.path.startswith('http://')
    assert np.array_equal(image.load(), picture()[..., ::-1])
    for name, message in (('text.png', 'not an image'), ('gone.png', 'cannot be fetched.*404')):
        with pytest.raises(ValueError, match=message):
            load_all(f'{server}/{name}')
    with pytest.raises(ValueError, match='larger than 0 MB'):
        fetch_image(f'{server}/large.png', max_bytes=1000)


def test_an_address_without_answer(server):
    host, port = server.rsplit(':', 1)
    with pytest.raises(ValueError, match='cannot be fetched'):
        partial(fetch_image, timeout=2)(f'{host}:1/a.png')


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(decoding.Path, 'read_bytes', refuse)
    with pytest.raises(ValueError, match=r'cannot be read .*Permission denied'):
        read_image(tmp_path / 'a.png')


@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_every_suffix_is_read_in_a_folder(suffix, tmp_path):
    image = Image.fromarray(picture()).convert('1' if suffix == '.pbm' else 'RGB')
    image.save(tmp_path / f'a{suffix.upper()}')
    array, = load_all(tmp_path)
    assert array.shape == (20, 30, 3)


def test_colours_of_16_bit_are_read(tmp_path):
    cv2.imwrite(str(tmp_path / 'deep.tif'), picture().astype(np.uint16) * 257)
    array, = load_all(tmp_path)
    assert np.array_equal(array, picture())


def test_what_a_folder_has_besides_images_is_counted(tmp_path, caplog):
    for name in ('a.jpg', 'b.txt', 'c.txt', 'film.mp4', 'd', 'sub/e.jpg', '.hidden.jpg', '._a.jpg',
                 'Thumbs.db', '.DS_Store', '__MACOSX/._a.jpg', '__MACOSX/a.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    assert names(tmp_path) == ['a']
    assert '4 files are skipped' in caplog.text and '(2 .txt, 1 ' in caplog.text
    assert [path.name for path in select_files(sorted(tmp_path.rglob('*.jpg')), '')] == [
        'a.jpg', 'e.jpg']
    assert names(f'{tmp_path}/**/*') == ['a', 'film', 'sub/e']


def test_drawings_of_an_inferencer_are_no_inputs(tmp_path, caplog):
    for name in ('a.jpg', 'found/vis/a.jpg', 'vis/b.jpg'):
        save(tmp_path / name)
    (tmp_path / 'found' / 'preds').mkdir()
    assert names(f'{tmp_path}/**/*.jpg') == ['a', 'vis/b']
    assert '1 files are skipped that are results' in caplog.text
    assert names(f'{tmp_path}/found/vis/*.jpg') == names(tmp_path / 'found' / 'vis') == ['a']
