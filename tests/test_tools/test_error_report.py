import json
from functools import partial
from html.parser import HTMLParser
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_instbox.evaluation.prediction_dump import image_file, write_image, write_index

NAME = 'a & <i> "b" #1%41'
CLASSES = ('background', '<b>square</b>', 'disc & co')


@pytest.fixture(scope='module')
def main(run_main):
    """A function that runs the tool in this process and returns what it prints."""
    return partial(run_main, 'analysis_tools/error_report.py', '--workers', 1)


class Page(HTMLParser):
    """Tags and attributes of a page, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data.strip())

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope='module')
def odd(main, tmp_path_factory, tiny_config, tiny_voc):
    """The report of a data set with names that HTML and addresses need escaped.

    Of the image's two squares and disc, the first square is found, the second one missed, and the
    disc taken for a square.
    """
    tmp_path = tmp_path_factory.mktemp('odd')
    root = tmp_path / 'data'
    for folder, suffix in (('JPEGImages', 'jpg'), ('SegmentationClass', 'png'),
                           ('SegmentationObject', 'png')):
        (root / folder).mkdir(parents=True)
        (root / folder / f'{NAME}.{suffix}').symlink_to(tiny_voc / folder / f'004.{suffix}')
    (root / 'val.txt').write_text(NAME + '\n')
    config = tmp_path / 'odd.py'
    dataset = dict(data_root=str(root), ann_file='val.txt', metainfo=dict(classes=CLASSES))
    config.write_text(f'_base_ = {str(tiny_config)!r}\ntest_dataloader = dict(dataset={dataset})\n')
    objects = Image.open(tiny_voc / 'SegmentationObject' / '004.png')
    objects = torch.from_numpy(np.array(objects))
    scores, boxes = torch.zeros(3, 64, 64), torch.zeros(4, 64, 64)
    scores[0], boxes[2:] = .5, 1.
    scores[1][objects == 1] = .8
    scores[1][objects == 3] = .7
    for index in (1, 3):
        y, x = (objects == index).nonzero(as_tuple=True)
        box = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
        boxes[:, objects == index] = box[:, None].float()
    dump, path = tmp_path / 'dump', str(root / 'JPEGImages' / f'{NAME}.jpg')
    write_image(dump / image_file(path), scores, boxes, (64, 64))
    write_index(dump, [path], config='odd.py', checkpoint='odd.pth', classes=CLASSES,
                thing_classes=CLASSES[1:])
    main(config, dump, '--out-dir', tmp_path / 'report', '--max-images', 1)
    return tmp_path / 'report'


def test_report_of_a_dump(main, tiny_config, tiny_dump, tmp_path):
    out = tmp_path / 'new' / 'report'
    printed = main(tiny_config, tiny_dump, '--out-dir', out, '--threshold', 0.95)
    report = json.loads((out / 'errors.json').read_text())
    assert report['settings']['threshold'] == 0.95 and report['AP_all_fixed'] == 1
    bad = [image for image in report['images'] if image['cost'] > 0]
    page = Page((out / 'index.html').read_text(encoding='utf-8'))
    pictures = page.all('img')
    assert 0 < len(pictures) == 2 * len(bad) == len(list((out / 'pictures').iterdir()))
    for picture in pictures:
        drawn = cv2.imread(str(out / unquote(picture['src'])))
        assert drawn.shape[:2] == (int(picture['height']), int(picture['width']))
        assert picture['alt'].startswith(('Ground truth of', 'Prediction of'))
    assert f'AP^r_0.95 is {report["AP"]:.3f}, with every kind fixed 1.000' in printed
    assert str(out / 'index.html') in printed and 'bad border' in printed


def test_truth_leaves_the_errors_of_the_grouping(main, tiny_config, tiny_dump, tmp_path):
    printed = main(tiny_config, tiny_dump, '--out-dir', tmp_path, '--max-images', 0,
                   '--truth', 'categories', 'boxes')
    assert 'AP^r_0.5 is 1.000' in printed
    assert 'Of 0 objects that fill under 15% of their box 0 are found' in printed


def test_no_pictures_if_none_are_wanted(main, tiny_config, tiny_dump, tmp_path):
    main(tiny_config, tiny_dump, '--out-dir', tmp_path, '--max-images', 0)
    assert not Page((tmp_path / 'index.html').read_text(encoding='utf-8')).all('img')
    assert len(json.loads((tmp_path / 'errors.json').read_text())['images']) == 4
    assert not list((tmp_path / 'pictures').iterdir())


def test_page_needs_nothing_else(odd):
    page = Page((odd / 'index.html').read_text(encoding='utf-8'))
    links = [attributes[key] for _, attributes in page.tags for key in ('src', 'href')
             if key in attributes]
    assert links and all((odd / unquote(link)).is_file() for link in links)
    assert not page.all('link') and all('src' not in script for script in page.all('script'))
    assert len(page.all('article')) == 1


def test_buttons_name_the_kinds_of_their_images(odd):
    page = Page((odd / 'index.html').read_text(encoding='utf-8'))
    article, = page.all('article')
    buttons = [button['data-kind'] for button in page.all('button')]
    assert set(buttons) == {'', *article['data-kinds'].split()} - {'correct'}
    assert set(article['data-kinds'].split()) == {'correct', 'missed', 'wrong_category'}


def test_names_are_escaped(odd):
    text = (odd / 'index.html').read_text(encoding='utf-8')
    assert '<b>' not in text and '<i>' not in text
    page = Page(text)
    assert f'1. {NAME}.jpg' in page.texts
    assert {'<b>square</b>', 'disc & co'} <= set(page.texts)
    truth, prediction = (picture['alt'] for picture in page.all('img'))
    assert truth == (f'Ground truth of {NAME}.jpg: 1 <b>square</b> (found), 1 <b>square</b> '
                     '(missed), 1 disc & co (wrong category).')
    assert prediction.endswith('1 <b>square</b> (found), 1 <b>square</b> (wrong category).')
    for picture in page.all('img'):
        assert (odd / unquote(picture['src'])).is_file()


def test_figures_of_the_odd_image(odd):
    report = json.loads((odd / 'errors.json').read_text())
    image, = report['images']
    assert [each['kind'] for each in image['objects']] == ['correct', 'missed', 'wrong_category']
    assert [each['object'] for each in image['predictions']] == [0, 2]
    assert image['objects'][2]['prediction'] == 1
    assert image['cost'] == pytest.approx(2 + image['predictions'][1]['score'])
    # squares: one of two found first; discs: none
    assert report['AP'] == pytest.approx((1 / 2 + 0) / 2)
    assert report['kinds']['wrong_category']['AP_lost'] == pytest.approx(1 / 2)
    assert report['kinds']['missed']['AP_lost'] == pytest.approx(1 / 4)


@pytest.mark.parametrize('arguments, message', [
    (('--threshold', 0.1), 'expected 0 <= background < threshold < 1'),
    (('--background', 0.5), 'expected 0 <= background < threshold < 1')])
def test_senseless_arguments_are_refused(main, tiny_config, tiny_dump, tmp_path, capsys, arguments,
                                         message):
    with pytest.raises(SystemExit, match='2'):
        main(tiny_config, tiny_dump, '--out-dir', tmp_path, *arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_mistakes_are_answered_with_one_sentence(main, tiny_config, tiny_dump, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(SystemExit, match='error_report.py: .*Not a directory: .*/file'):
        main(tiny_config, tiny_dump, '--out-dir', tmp_path / 'file')
    with pytest.raises(SystemExit, match='error_report.py: .*/gone: there is no index.json'):
        main(tiny_config, tmp_path / 'gone', '--out-dir', tmp_path)
    with pytest.raises(SystemExit, match='cannot be built .*min_gian'):
        main(tiny_config, tiny_dump, '--out-dir', tmp_path, '--cfg-options',
             'model.grouper.min_gian=1')
    with pytest.raises(SystemExit, match='error_report.py: Nothing is predicted in any of the 4'):
        main(tiny_config, tiny_dump, '--out-dir', tmp_path, '--cfg-options',
             'model.grouper.min_gain=1000000')
