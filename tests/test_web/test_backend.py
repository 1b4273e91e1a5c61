"""The work behind the page: one network pass an image, messages, files."""
import base64
import io
import json
import time
import zipfile

import numpy as np
import pytest
from colour_inferencer import GREY
from PIL import Image
from pycocotools.coco import COCO

from mmseg_instbox.web.backend import IMAGE_GONE, PageBackend, PageError, Settings
from mmseg_instbox.web.view import LAYERS

ALL = ('Masks', 'Boxes', 'Labels')


@pytest.fixture
def backend(inferencer):
    return PageBackend(inferencer)


@pytest.fixture
def key(backend, scene_file):
    return backend.open(scene_file, scene_file.name)


def image_of(view) -> np.ndarray:
    """The image of a view, (h, w, 3) uint8 RGB."""
    data = base64.b64decode(view['image'].removeprefix('data:image/jpeg;base64,'))
    return np.array(Image.open(io.BytesIO(data)))


def enlarged(mask: np.ndarray) -> np.ndarray:
    """A mask of 96 x 128 pixels as the page shows it, on 600 x 800."""
    rows, cols = np.arange(600) * 96 // 600, np.arange(800) * 128 // 800
    return mask[rows[:, None], cols]


def ids_of(view) -> np.ndarray:
    """The instance of each pixel of a view."""
    values, lengths = view['runs'][::2], view['runs'][1::2]
    return np.repeat(values, lengths).reshape(view['height'], view['width'])


@pytest.mark.parametrize('shape', [(3000, 4), (4, 3000), (4, 4)])  # of cells of 4 x 4 pixels
def test_thin_images_are_shown(backend, shape, tmp_path):
    Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(tmp_path / 'thin.png')
    view = backend.view(backend.open(tmp_path / 'thin.png', 'thin.png'), Settings(0.1, LAYERS))
    assert image_of(view).shape[:2] == (view['height'], view['width'])
    assert min(view['height'], view['width']) >= 1


def test_the_view_shows_the_objects_where_they_are(backend, key, truth):
    view = backend.view(key, Settings(0.1, ALL))
    names = [each['name'] for each in view['instances']]
    assert names == ['square <b>', 'square <b>', 'disc']
    boxes = [each['box'] for each in view['instances']]
    assert boxes == [[8, 8, 32, 32], [60, 8, 60, 60], [16, 72, 8, 8]]
    assert [each['area'] for each in view['instances']] == [int(mask.sum()) for mask in truth]
    ids = ids_of(view)
    for number, mask in enumerate(truth, start=1):
        assert ((ids == number) == enlarged(mask)).all()
    scores = [each['score'] for each in view['instances']]
    assert scores == sorted(scores, reverse=True)
    json.dumps(view)


def test_masks_are_drawn_on_the_objects_and_nowhere_else(backend, key, truth):
    bare = image_of(backend.view(key, Settings(0.1, ()))).astype(int)
    drawn = image_of(backend.view(key, Settings(0.1, ('Masks', )))).astype(int)
    change = np.abs(drawn - bare).max(axis=2)
    things = enlarged(np.any(truth, axis=0))
    far = ~np.lib.stride_tricks.sliding_window_view(np.pad(things, 16), (33, 33)).any((2, 3))
    assert change[far].max() <= 2  # JPEG
    ids = ids_of(backend.view(key, Settings(0.1, ())))
    assert all(np.median(change[ids == number]) > 20 for number in (2, 3))
    assert abs(int(np.median(bare[far])) - GREY) <= 1


def test_settings_group_and_draw_again_without_the_network(backend, key, inferencer):
    counts = []
    for score, gain in ((0.1, 0.15), (0.35, 0.15), (0.6, 0.15), (0.1, 0.5)):
        view = backend.view(key, Settings(score, ALL, dict(min_gain=gain)))
        counts.append(len(view['instances']))
    assert counts == [3, 2, 1, 2]  # the angle fills too little of its box for the last
    assert inferencer.passes == 1


def test_layers_and_the_score_do_not_group_again(backend, key, inferencer):
    backend.view(key, Settings(0.1, ALL))
    before = inferencer.groupings
    for layers in ((), ALL, ('Categories', ), ('Masks', )):
        for score in (0, 0.5):
            backend.view(key, Settings(score, layers))
    assert inferencer.groupings == before
    backend.view(key, Settings(0.1, ALL, dict(min_gain=0.3)))
    assert inferencer.groupings == before + 1


@pytest.mark.parametrize('layer', LAYERS)
def test_every_layer_changes_the_image(backend, key, layer):
    bare = image_of(backend.view(key, Settings(0.1, ()))).astype(int)
    drawn = image_of(backend.view(key, Settings(0.1, (layer, )))).astype(int)
    assert (np.abs(drawn - bare).max(axis=2) > 20).mean() > 0.005


def test_categories_are_listed_with_their_share_of_the_image(backend, key, truth):
    listed = backend.view(key, Settings(0.1, ('Categories', )))['categories']
    squares = (truth[0].sum() + truth[1].sum()) / truth[0].size
    assert [each['name'] for each in listed] == ['square <b>', 'disc']
    assert listed[0]['share'] == pytest.approx(squares, abs=1e-4)
    assert listed[0]['color'] == [250, 120, 0]
    assert backend.view(key, Settings(0.1, ALL))['categories'] == []


def test_regrouping_an_image_of_500_pixels_takes_less_than_200_ms(backend, tmp_path):
    file = tmp_path / 'large.png'
    image = np.full((375, 500, 3), GREY, np.uint8)
    for number in range(20):  # touching squares, 8 cells a side
        y, x = 60 + number // 10 * 100, 20 + number % 10 * 45
        image[y:y + 40, x:x + 40] = (250, 5 * number, 0)
    Image.fromarray(image).save(file)
    key = backend.open(file, file.name)
    seconds = []
    for step in range(5):
        start = time.thread_time()  # of this thread: others may keep the machine busy
        view = backend.view(key, Settings(0.1, ALL, dict(min_gain=0.1 + 0.01 * step)))
        seconds.append(time.thread_time() - start)
    assert len(view['instances']) == 20
    assert min(seconds) < 0.2


def test_of_too_many_objects_the_highest_scores_are_shown(backend, key, monkeypatch):
    monkeypatch.setattr('mmseg_instbox.web.view.MAX_OBJECTS', 2)
    view = backend.view(key, Settings(0.1, ALL))
    assert len(view['instances']) == 2 and set(view['runs'][::2]) == {0, 1, 2}
    assert 'Too many objects' in view['note'] and '3' in view['note']
    assert backend.view(key, Settings(0.5, ALL))['note'] == ''


def test_a_large_image_shrinks_on_the_page_but_not_in_the_file(backend, tmp_path, truth):
    mask = truth[0].repeat(10, 0).repeat(10, 1)
    image = np.full((960, 1280, 3), GREY, np.uint8)
    image[mask] = (250, 20, 0)
    file = tmp_path / 'large.png'
    Image.fromarray(image).save(file)
    key = backend.open(file, file.name)
    view = backend.view(key, Settings(0.1, ALL))
    assert (view['height'], view['width']) == (768, 1024)
    assert view['instances'][0]['box'] == [80, 80, 320, 320]
    coco = COCO(backend.export(key, Settings(0.1), 'coco', tmp_path))
    assert (coco.annToMask(coco.anns[min(coco.anns)]) == mask).all()


def test_coco_file_holds_the_instances_from_the_score_on(backend, key, truth, tmp_path):
    file = backend.export(key, Settings(0.35), 'coco', tmp_path)
    assert file == tmp_path / 'scène 1.json'
    coco = COCO(file)
    masks = [coco.annToMask(each).astype(bool) for each in coco.anns.values()]
    assert len(masks) == 2
    assert all((mask == true).all() for mask, true in zip(masks, truth, strict=False))


def test_png_file_holds_categories_and_instances(backend, key, truth, tmp_path):
    file = backend.export(key, Settings(0.1), 'png', tmp_path)
    with zipfile.ZipFile(file) as archive:
        maps = {name.split('/')[0]: np.array(Image.open(io.BytesIO(archive.read(name))))
                for name in archive.namelist() if name.endswith('.png')}
    assert (maps['SegmentationObject'] == sum(
        number * mask for number, mask in enumerate(truth, start=1))).all()
    assert (maps['SegmentationClass'] == truth[0] + truth[1] + 2 * truth[2]).all()


def test_image_file_is_what_the_page_shows(backend, key, tmp_path):
    settings = Settings(0.1, ALL)
    file = backend.export(key, settings, 'image', tmp_path)
    assert (np.array(Image.open(file)) == image_of(backend.view(key, settings))).all()


@pytest.mark.parametrize('content', [b'', b'not an image' * 100])
def test_a_file_that_is_not_an_image_is_refused_without_its_path(backend, tmp_path, content):
    file = tmp_path / 'broken.jpg'
    file.write_bytes(content)
    with pytest.raises(PageError, match='not an image that can be read') as error:
        backend.open(file, 'broken.jpg')
    assert str(tmp_path) not in str(error.value)


def test_a_truncated_image_is_refused_with_a_message(backend, scene_file, tmp_path):
    file = tmp_path / 'cut.png'
    file.write_bytes(scene_file.read_bytes()[:200])
    with pytest.raises(PageError, match=r'^cut\.png: the image is broken') as error:
        backend.open(file, 'cut.png')
    assert str(tmp_path) not in str(error.value)


def test_an_image_of_too_many_pixels_is_not_decoded(inferencer, scene_file):
    with pytest.raises(PageError, match='it has 128 x 96 pixels, the page accepts'):
        PageBackend(inferencer, max_pixels=128 * 96 // 4 - 1).open(scene_file, 'a.png')
    assert inferencer.passes == 0


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_a_photograph_of_a_phone_is_scaled_down_with_a_note(inferencer, scene_file, tmp_path,
                                                            suffix):
    file = tmp_path / f'large.{suffix}'
    photograph = Image.open(scene_file).resize((256, 192), Image.Resampling.NEAREST)
    exif = photograph.getexif()
    exif[0x0112] = 6  # turned to the right when it is shown
    photograph.save(file, exif=exif, quality=95)
    backend = PageBackend(inferencer, max_pixels=128 * 96)
    key = backend.open(file, file.name)
    view = backend.view(key, Settings(0.1, ALL))
    assert view['note'] == ('The image was scaled down from 0.0492 to 0.0123 megapixels; saved '
                            'files have the smaller size.')
    assert (view['height'], view['width']) == (800, 600)
    assert [each['name'] for each in view['instances']][:2] == ['square <b>'] * 2
    coco = COCO(backend.export(key, Settings(0.1), 'coco', tmp_path))
    assert [(each['height'], each['width']) for each in coco.imgs.values()] == [(128, 96)]


def test_an_image_within_the_limit_keeps_its_size(inferencer, scene_file, truth, tmp_path):
    backend = PageBackend(inferencer, max_pixels=128 * 96)
    key = backend.open(scene_file, 'a.png')
    assert backend.view(key, Settings(0.1, ALL))['note'] == ''
    coco = COCO(backend.export(key, Settings(0.1), 'coco', tmp_path))
    assert (coco.annToMask(coco.anns[1]) == truth[0]).all()


def test_an_image_that_is_no_longer_kept_is_reported(backend, scene_file, tmp_path, monkeypatch):
    monkeypatch.setattr('mmseg_instbox.web.backend.MAX_SCENES', 1)
    old, _ = (backend.open(scene_file, 'a.png') for _ in range(2))
    with pytest.raises(PageError, match=IMAGE_GONE):
        backend.view(old, Settings())
    with pytest.raises(PageError, match=IMAGE_GONE):
        backend.export(old, Settings(), 'coco', tmp_path)


@pytest.mark.parametrize('name', ['../../up.png', 'a' * 400 + '.png', '.png', 'a:b?.png'])
def test_strange_names_give_files_in_the_folder(backend, scene_file, tmp_path, name):
    key = backend.open(scene_file, name)
    for kind in ('coco', 'png', 'image'):
        assert backend.export(key, Settings(0.1), kind, tmp_path).parent == tmp_path
    assert len(list(tmp_path.iterdir())) == 3


def test_the_image_unused_for_longest_is_dropped_first(backend, scene_file, monkeypatch):
    monkeypatch.setattr('mmseg_instbox.web.backend.MAX_SCENES', 2)
    first, second = (backend.open(scene_file, 'a.png') for _ in range(2))
    backend.view(first, Settings())  # so that the second one is unused for longest
    third = backend.open(scene_file, 'a.png')
    assert backend.view(first, Settings()) and backend.view(third, Settings())
    with pytest.raises(PageError, match=IMAGE_GONE):
        backend.view(second, Settings())


def test_a_forgotten_image_is_no_longer_kept(backend, key):
    for each in (key, key, None, 'unknown'):
        backend.forget(each)
    with pytest.raises(PageError, match=IMAGE_GONE):
        backend.view(key, Settings())


def test_no_objects_are_no_error(backend, tmp_path):
    file = tmp_path / 'empty.png'
    Image.new('RGB', (50, 40), 'grey').save(file)
    view = backend.view(backend.open(file, 'empty.png'), Settings(0.1, LAYERS))
    assert view['instances'] == [] and view['categories'] == [] and view['runs'][0] == 0
