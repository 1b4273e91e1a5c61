import json
from collections import Counter
from pathlib import Path

import pytest
from own_pictures import add_object, write_images

from mmseg_instbox.apis.own_data import (
    OwnData,
    choose_images,
    choose_parts,
    count_objects,
    group_copies,
    objects_of,
    read_own_data,
)
from mmseg_instbox.datasets.annotation_formats import AnnotatedImages
from mmseg_instbox.errors import InvalidInputError


def part(objects, number):
    """Images with the given categories, ids of images by category."""
    table = dict(images=[dict(id=i, file_name=f'{i}.png', width=100, height=50)
                         for i in range(number)], annotations=[],
                 categories=[dict(id=i, name=name) for i, name in enumerate(objects)])
    for category, images in enumerate(objects.values()):
        for image in images:
            add_object(table, image, category, (10, 10, 20, 5))
    return AnnotatedImages(None, table)


@pytest.mark.parametrize('seed', range(5))
def test_each_category_has_its_share_of_the_chosen_images(seed):
    images = part(dict(common=range(40), half=range(0, 40, 2), rare=(1, 5, 9, 13, 17),
                       single=(39, )), 50)
    chosen = choose_images(images, 0.2, seed)
    assert chosen == choose_images(images, 0.2, seed)
    assert 9 <= len(chosen) <= 11
    assert len(chosen & {1, 5, 9, 13, 17}) == 1 and len(chosen & set(range(40, 50))) == 2
    assert 3 <= len(chosen & set(range(0, 40, 2))) <= 5 and 39 not in chosen
    assert chosen != choose_images(images, 0.2, seed + 1)


def test_two_images_are_one_to_train_on_and_one_to_validate_on():
    for seed in range(5):
        assert len(choose_images(part(dict(a=(0, 1)), 2), 0.2, seed)) == 1


def test_unsplit_data_are_split_and_written(tmp_path):
    own = read_own_data(write_images(tmp_path / 'data', 10))
    assert own.categories == ['disc', 'star']
    assert [note.split(',')[0] for note in own.notes] == ['1 x rectangles']
    counts = {name: len(each.coco['images']) for name, each in own.parts.items()}
    assert counts == dict(train=8, val=2)
    own.write(tmp_path / 'annotations')
    table = json.loads((tmp_path / 'annotations' / 'val.json').read_text())
    assert [row['id'] for row in table['categories']] == [1, 2]
    ids = {row['id'] for row in table['images']}
    assert ids == {row['image_id'] for row in table['annotations']} and len(ids) == 2


def test_given_parts_are_kept_and_categories_are_those_to_train_on(tmp_path):
    for name, number, names in (('train', 3, ('star', 'disc')), ('valid', 2, ('disc', 'square')),
                                ('test', 1, ('disc', ))):
        write_images(tmp_path / name, number, names)
    own = read_own_data(tmp_path)
    assert {name: len(each.coco['images']) for name, each in own.parts.items()} == dict(
        train=3, val=2, test=1)
    assert own.categories == ['star', 'disc']
    assert all(each.coco['categories'] == own.parts['train'].coco['categories']
               for each in own.parts.values())
    assert count_objects(own.parts['val']) == dict(disc=2)
    assert own.notes[-1] == 'no object to train on: square; left out of val'


def test_equal_names_are_one_category_and_empty_ones_none(tmp_path):
    folder = write_images(tmp_path, 4)
    table = json.loads((folder / '_annotations.coco.json').read_text())
    table['categories'] += [dict(id=0, name='parent'), dict(id=5, name='disc'),
                            dict(id=6, name='Background')]
    add_object(table, 0, 5, (1, 1, 9, 9))
    add_object(table, 0, 6, (1, 1, 9, 9))
    (folder / '_annotations.coco.json').write_text(json.dumps(table))
    own = read_own_data(folder)
    assert own.categories == ['disc', 'star']
    counts = sum((count_objects(each) for each in own.parts.values()), start=Counter())
    assert counts == dict(disc=5, star=4)


def test_other_data_to_validate_on(tmp_path):
    own = read_own_data(write_images(tmp_path / 'a', 3), write_images(tmp_path / 'b', 5))
    assert len(own.parts['train'].coco['images']) == 3
    assert len(own.parts['val'].coco['images']) == 5


@pytest.mark.parametrize('number, names, val, message', [
    (0, ('disc', ), None, 'of no image that can be used'),
    (3, (), None, 'cannot be trained on'),
    (1, ('disc', ), None, 'has one image with objects'),
    (3, ('disc', ), ('star', ), 'none of the 2 images to validate on has an object of disc'),
])
def test_too_little_data(tmp_path, number, names, val, message):
    folder = write_images(tmp_path / 'data', number, names)
    other = None if val is None else write_images(tmp_path / 'other', 2, val)
    with pytest.raises(InvalidInputError, match=message):
        read_own_data(folder, other)


def test_problems_are_summed_up(tmp_path):
    folder = write_images(tmp_path / 'data', 5)
    table = json.loads((folder / '_annotations.coco.json').read_text())
    for each in table['annotations'][:2]:
        each['segmentation'] = [[1, 1, 5, 5]]
    (folder / '_annotations.coco.json').write_text(json.dumps(table))
    own = read_own_data(folder)
    assert sum(len(objects_of(each)) for each in own.parts.values()) == 8
    assert any(note.startswith('2 x ') and ', for example _annotations' in note
               for note in own.notes)


def test_a_folder_without_annotations(tmp_path):
    with pytest.raises(InvalidInputError, match='no annotations of a known format'):
        read_own_data(tmp_path)
    with pytest.raises(FileNotFoundError, match='gone: no such file or folder'):
        read_own_data(tmp_path / 'gone')


def test_images_elsewhere(tmp_path):
    folder = write_images(tmp_path / 'photos', 4)
    (tmp_path / 'found').mkdir()
    (folder / '_annotations.coco.json').rename(tmp_path / 'found' / 'annotations.json')
    own = read_own_data(tmp_path / 'found', images=folder)
    assert all((each.root / each.coco['images'][0]['file_name']).is_file()
               for each in own.parts.values())


def test_images_to_test_on_without_objects_are_left_out(tmp_path):
    for name, number in (('train', 3), ('valid', 2), ('test', 2)):
        write_images(tmp_path / name, number)
    file = tmp_path / 'test' / '_annotations.coco.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(annotations=[])))
    own = read_own_data(tmp_path)
    assert [*own.parts] == ['train', 'val']
    assert own.notes[-1] == 'the 2 images of test have no object; left out'


def test_images_to_validate_on_without_objects_are_left_out(tmp_path):
    for name, number in (('train', 10), ('valid', 3)):
        write_images(tmp_path / name, number)
    file = tmp_path / 'valid' / '_annotations.coco.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(annotations=[])))
    own = read_own_data(tmp_path)
    assert {name: len(each.coco['images']) for name, each in own.parts.items()} == dict(
        train=8, val=2)
    assert own.notes[-1] == 'the 3 images of val have no object; left out'


def test_images_without_objects_are_no_more_than_those_with():
    own = choose_parts(dict(all=part(dict(a=range(10), b=(2, 5)), 200)), 'data')
    counts = [(len(each.coco['images']), len({row['image_id'] for row in objects_of(each)}))
              for each in own.parts.values()]
    assert counts == [(16, 8), (4, 2)]
    assert own.notes == ['10 of 190 images without objects are used, as many as there are with '
                         'objects']
    train, val = (AnnotatedImages(Path(name), part(dict(a=range(count)), number).coco)
                  for name, count, number in (('train', 10, 20), ('val', 1, 50)))
    own = choose_parts(dict(train=train, val=val), 'data')
    assert [len(each.coco['images']) for each in own.parts.values()] == [20, 50] and not own.notes


def test_images_that_no_part_takes_are_reported(tmp_path):
    for name in ('train', 'valid', 'batch2'):
        write_images(tmp_path / name, 2)
    own = read_own_data(tmp_path)
    assert [*own.parts] == ['train', 'val'] and own.notes[-1].startswith('2 images are in no part')


def test_images_of_two_parts_are_reported(tmp_path):
    folder = write_images(tmp_path, 4)
    table = json.loads((folder / '_annotations.coco.json').read_text())
    (folder / '_annotations.coco.json').unlink()
    for name, number in (('train', 4), ('val', 2)):
        images = table['images'][:number]
        (folder / f'{name}.json').write_text(json.dumps(table | dict(images=images)))
    assert read_own_data(tmp_path).notes[-1].startswith('2 images are in both train and val')


def test_the_reason_why_nothing_can_be_used_is_given(tmp_path):
    folder = write_images(tmp_path, 3)
    table = json.loads((folder / '_annotations.coco.json').read_text())
    for each in table['annotations']:
        each['segmentation'] = []
    (folder / '_annotations.coco.json').write_text(json.dumps(table))
    with pytest.raises(InvalidInputError, match=r'3 images and no object .* \(6 x box only\)'):
        read_own_data(tmp_path)
    for file in tmp_path.glob('*.png'):
        file.write_bytes(b'no image')
    with pytest.raises(InvalidInputError, match='3 x unreadable image, .*unknown format'):
        read_own_data(tmp_path)


NAMES = ['IMG_{}_jpg.rf.{:032x}.jpg', 'clips/film_{}_mp4-{}_jpg.rf.0aF1.jpg', 'frame{}-{}.png']


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('seed', range(3))
def test_copies_of_a_photograph_stay_together(name, seed):
    images = part(dict(common=range(30), half=range(0, 30, 2)), 36)
    for row in images.coco['images']:
        row['file_name'] = name.format(row['id'] // 3, row['id'] % 3 + 7 * row['id'])
        if name == NAMES[-1]:
            row['video_id'] = row['id'] // 3
    chosen = choose_images(images, 0.2, seed, group_copies(images))
    assert len(chosen) == 6 and len({each // 3 for each in chosen}) == 2
    own = choose_parts(dict(all=images), 'data', seed=seed)
    ids = [{row['id'] // 3 for row in own.parts[key].coco['images']} for key in ('train', 'val')]
    assert not ids[0] & ids[1] and not own.notes


def test_frames_of_a_single_video_are_split_and_reported(tmp_path):
    images = part(dict(a=range(10)), 10)
    for row in images.coco['images']:
        row['video_id'] = 1
    own = choose_parts(dict(all=AnnotatedImages(tmp_path, images.coco)), 'data')
    assert {name: len(each.coco['images']) for name, each in own.parts.items()} == dict(
        train=8, val=2)
    assert own.notes == ['images of one video or photograph are in both train and val, which '
                         'flatters the figures']


def test_images_to_validate_and_to_test_on_are_limited():
    parts = dict(train=part(dict(a=range(5)), 5), val=part(dict(a=range(40)), 40),
                 test=part(dict(a=[7]), 30))
    own = OwnData(parts, []).limit_validation(10, seed=0)
    assert {name: len(each.coco['images']) for name, each in own.parts.items()} == dict(
        train=5, val=10, test=11)
    assert len(objects_of(own.parts['test'])) == 1
    assert own.notes == ['10 of 40 images of val are used, because of the time',
                         '11 of 30 images of test are used, because of the time']
    own = OwnData(parts, []).limit_validation(None, seed=0)
    assert len(own.parts['val'].coco['images']) == 40 and not own.notes


def test_lists_of_another_training_are_removed(tmp_path):
    (tmp_path / 'test.json').touch()
    choose_parts(dict(all=part(dict(a=range(5)), 5)), 'data').write(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ['train.json', 'val.json']
