"""The page in a real browser, served as by ``instbox serve``."""
import io
import os
import re
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from colour_inferencer import ColourInferencer
from PIL import Image
from pycocotools.coco import COCO

pytest.importorskip('gradio', reason='the page needs the extra "demo"')
sync_api = pytest.importorskip('playwright.sync_api', reason='a browser is driven by playwright')

from mmseg_instbox.web import running  # noqa: E402

CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which('google-chrome')
pytestmark = pytest.mark.skipif(not CHROMIUM, reason='no Chromium; name one in $CHROMIUM')

RESULT = '#instbox-viewer .ib-result:not([hidden])'
ERROR = '#instbox-viewer .ib-error:not([hidden])'
ROWS = '#instbox-viewer tbody tr'
WAIT = 30_000  # milliseconds


@pytest.fixture(scope='module')
def inferencer():
    return ColourInferencer()


@pytest.fixture(scope='module')
def server(inferencer, scene_file):
    """The page with one sample; images of up to 1 MB and 100,000 pixels."""
    with running(inferencer, samples=[scene_file], max_upload_mb=1, max_pixels=100_000,
                 score_thr=0.1) as app:
        yield app


@pytest.fixture(scope='module')
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=['--no-sandbox', '--disable-gpu', '--disable-background-networking'])
        yield browser
        browser.close()


@pytest.fixture
def open_page(server, browser):
    """Opens the page; requests to other hosts and errors of its scripts fail the test."""
    contexts, problems = [], []

    def open_page(**options):
        context = browser.new_context(**(dict(viewport=dict(width=1280, height=900)) | options))
        contexts.append(context)
        page = context.new_page()
        page.on('request', lambda request: is_local(request.url) or problems.append(request.url))
        page.on('pageerror', lambda error: problems.append(str(error)))
        page.goto(server.local_url)
        page.wait_for_selector('#instbox-viewer .ib-empty', timeout=WAIT)
        return page

    def is_local(url):
        return url.startswith((server.local_url, 'data:', 'blob:'))

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page, scene_file):
    """The page with the image uploaded."""
    page = open_page()
    upload(page, scene_file)
    page.wait_for_selector(RESULT, timeout=WAIT)
    return page


def upload(page, file: Path) -> None:
    page.set_input_files('#instbox-image input[type=file]', str(file))


def slide(page, name: str, value: float) -> None:
    """Moves a slider."""
    page.locator(f'#instbox-{name} input[type=range]').evaluate(
        '(slider, value) => { slider.value = value;'
        "  slider.dispatchEvent(new Event('input', {bubbles: true})); }", value)


def expect_rows(page, number: int) -> None:
    sync_api.expect(page.locator(ROWS)).to_have_count(number, timeout=WAIT)


def shown(page) -> np.ndarray:
    """The image on the page, (h, w, 3) uint8 RGB."""
    source = page.locator('.ib-image').evaluate(
        '(image) => image.decode().then(() => fetch(image.src)).then(r => r.arrayBuffer())'
        '.then(b => Array.from(new Uint8Array(b)))')
    return np.array(Image.open(io.BytesIO(bytes(source))))


def point_at(page, x: float, y: float) -> None:
    """Moves the mouse to a pixel of the image of 128 x 96."""
    box = page.locator('.ib-image').bounding_box()
    page.mouse.move(box['x'] + x / 128 * box['width'], box['y'] + y / 96 * box['height'])


def save(page, kind: str, folder: Path) -> Path:
    with page.expect_download(timeout=WAIT) as download:
        page.click(f'#instbox-save-{kind}')
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_an_uploaded_image_is_shown_with_its_objects(page, truth):
    expect_rows(page, 3)
    assert page.locator(ROWS).first.inner_text().split('\n')[0].startswith('square <b>')
    drawn = shown(page).astype(int)
    for mask in truth[:2]:
        large = cv2.resize(mask.astype(np.uint8), drawn.shape[1::-1])
        inside = cv2.erode(large, np.ones((13, 13))) > 0
        assert np.abs(drawn[inside] - (250, 20, 0)).max(axis=1).mean() > 20
    assert np.abs(drawn[-8:, -8:] - 100).max() <= 2


def test_sliders_change_the_objects_without_the_network(page, inferencer):
    passes, groupings = inferencer.passes, inferencer.groupings
    slide(page, 'score', 0.35)
    expect_rows(page, 2)
    assert inferencer.groupings == groupings
    slide(page, 'min_gain', 0.5)
    expect_rows(page, 1)
    assert inferencer.groupings == groupings + 1
    slide(page, 'score', 0.1)
    expect_rows(page, 2)
    page.click('#instbox-reset')
    expect_rows(page, 3)
    assert inferencer.passes == passes
    milliseconds = int(re.search(r'(\d+) ms', page.inner_text('.ib-time')).group(1))
    assert milliseconds > 0


def test_pointing_at_an_object_lifts_it_out(page):
    canvas, tip = page.locator('.ib-canvas'), page.locator('.ib-tip')
    point_at(page, 24, 24)
    sync_api.expect(tip).to_contain_text('square <b>')
    assert re.search(r'0\.\d\d', tip.inner_text()) and '8, 8, 32 × 32' in tip.inner_text()
    sync_api.expect(canvas).to_have_class(re.compile('ib-on'))
    sync_api.expect(page.locator(ROWS).nth(0)).to_have_class('ib-on')
    dark = canvas.evaluate('(c) => [[24, 24], [100, 20]].map(([x, y]) => c.getContext("2d")'
                           '.getImageData(x * c.width / 128, y * c.height / 96, 1, 1).data[3])')
    assert dark[0] == 0 and dark[1] > 100
    point_at(page, 20, 76)
    sync_api.expect(tip).to_contain_text('disc')
    point_at(page, 100, 20)
    sync_api.expect(tip).to_be_hidden()
    sync_api.expect(canvas).not_to_have_class(re.compile('ib-on'))
    page.locator(ROWS).nth(1).focus()
    sync_api.expect(canvas).to_have_class(re.compile('ib-on'))


def test_toggles_draw_again(page):
    images = [shown(page)]
    for name in ('Votes', 'Categories'):
        old = page.locator('.ib-image').evaluate('image => image.src.length')
        page.get_by_label(name, exact=True).check()
        page.wait_for_function(
            'old => document.querySelector(".ib-image").src.length !== old', arg=old,
            timeout=WAIT)
        images.append(shown(page))
    differences = [np.abs(a.astype(int) - b).max(axis=2) for a, b in
                   zip(images, images[1:], strict=False)]
    assert all((difference > 20).mean() > 0.01 for difference in differences)
    sync_api.expect(page.locator('.ib-chip')).to_have_count(2)


def test_saved_coco_file_is_read_by_pycocotools(page, truth, tmp_path):
    slide(page, 'score', 0.35)
    expect_rows(page, 2)
    coco = COCO(save(page, 'coco', tmp_path))
    masks = [coco.annToMask(each).astype(bool) for each in coco.anns.values()]
    assert len(masks) == 2
    assert all((mask == true).all() for mask, true in zip(masks, truth, strict=False))


def test_saved_png_and_image(page, truth, tmp_path):
    with zipfile.ZipFile(save(page, 'png', tmp_path)) as archive:
        name, = (name for name in archive.namelist() if name.startswith('SegmentationObject/s'))
        ids = np.array(Image.open(io.BytesIO(archive.read(name))))
    assert all((ids[mask] == number).all() for number, mask in enumerate(truth, start=1))
    assert (np.array(Image.open(save(page, 'image', tmp_path))) == shown(page)).all()


def test_a_sample_is_one_click(open_page, inferencer):
    page, passes = open_page(), inferencer.passes
    sync_api.expect(page.locator('#instbox-save-coco')).to_be_disabled()
    page.locator('#instbox-samples .gallery-item').first.click()
    page.wait_for_selector(RESULT, timeout=WAIT)
    expect_rows(page, 3)
    assert inferencer.passes == passes + 1
    sync_api.expect(page.locator('#instbox-save-coco')).to_be_enabled()


def test_a_broken_file_ends_in_a_message_and_the_next_one_works(open_page, scene_file, tmp_path):
    page, file = open_page(), tmp_path / 'broken.png'
    file.write_bytes(scene_file.read_bytes()[:150])
    upload(page, file)
    page.wait_for_selector(ERROR, timeout=WAIT)
    message = page.inner_text(ERROR)
    assert 'broken.png' in message and 'Traceback' not in page.content()
    assert '/' not in message  # no path
    sync_api.expect(page.locator('#instbox-save-coco')).to_be_disabled()
    page.locator('#instbox-samples .gallery-item').first.click()
    page.wait_for_selector(RESULT, timeout=WAIT)
    assert page.locator(ERROR).count() == 0


def test_too_many_pixels_end_in_a_message(open_page, tmp_path, inferencer):
    page, passes = open_page(), inferencer.passes
    Image.new('RGB', (801, 500)).save(tmp_path / 'wide.png')
    upload(page, tmp_path / 'wide.png')
    page.wait_for_selector(ERROR, timeout=WAIT)
    assert '801 x 500 pixels' in page.inner_text(ERROR)
    assert inferencer.passes == passes


def test_a_large_image_is_scaled_down_with_a_note(open_page, tmp_path):
    page = open_page()
    Image.new('RGB', (401, 250)).save(tmp_path / 'wide.png')
    upload(page, tmp_path / 'wide.png')
    page.wait_for_selector(RESULT, timeout=WAIT)
    sync_api.expect(page.locator('.ib-note')).to_contain_text('scaled down from 0.1')


def test_too_large_a_file_ends_in_a_message(open_page, tmp_path, inferencer):
    page, passes = open_page(), inferencer.passes
    (tmp_path / 'heavy.png').write_bytes(bytes(2**20 + 1))
    upload(page, tmp_path / 'heavy.png')
    toast = page.get_by_text('maximum allowed size')
    sync_api.expect(toast.first).to_be_visible(timeout=WAIT)
    assert inferencer.passes == passes


def test_removing_the_image_empties_the_page(page):
    page.locator('#instbox-image').get_by_label(re.compile('Remove|Clear')).click()
    page.wait_for_selector('#instbox-viewer .ib-empty:not([hidden])', timeout=WAIT)
    sync_api.expect(page.locator('#instbox-save-coco')).to_be_disabled()


def test_on_a_phone_the_result_follows_the_image_without_overflow(open_page, scene_file):
    page = open_page(viewport=dict(width=390, height=844), is_mobile=True, has_touch=True)
    upload(page, scene_file)
    page.wait_for_selector(RESULT, timeout=WAIT)
    tops = [page.locator(f'#instbox-{name}').bounding_box()['y']
            for name in ('image', 'viewer', 'layers')]
    assert tops == sorted(tops)
    assert page.evaluate('document.documentElement.scrollWidth') <= 390
    box = page.locator('.ib-image').bounding_box()
    page.touchscreen.tap(box['x'] + box['width'] * 24 / 128, box['y'] + box['height'] * 24 / 96)
    sync_api.expect(page.locator('.ib-tip')).to_contain_text('square <b>')


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_the_page_follows_the_colour_scheme_of_the_visitor(open_page, scheme):
    page = open_page(color_scheme=scheme)

    def look() -> str:
        corner = np.array(Image.open(io.BytesIO(page.screenshot())))[2, 2, :3]
        return 'dark' if corner.max() < 60 else 'light' if corner.min() > 200 else 'neither'

    assert look() == scheme
    page.click('.instbox-dark')
    page.wait_for_timeout(500)  # colours fade
    assert look() == dict(light='dark', dark='light')[scheme]


def test_two_visitors_do_not_see_each_others_image(open_page, page, tmp_path):
    other = open_page()
    Image.new('RGB', (50, 40), 'grey').save(tmp_path / 'empty.png')
    upload(other, tmp_path / 'empty.png')
    other.wait_for_selector(RESULT, timeout=WAIT)
    assert other.inner_text('.ib-count') == 'No objects'
    slide(page, 'score', 0.35)
    expect_rows(page, 2)
