import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mmseg_instbox
from mmseg_instbox.datasets import read_annotations
from mmseg_instbox.datasets.voc_layout import write_mask
from mmseg_instbox.errors import InvalidInputError

SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


def coco(name='a.jpg', category='cell', number=1):
    return dict(images=[dict(id=7, file_name=name, width=60, height=40)],
                categories=[dict(id=number, name=category)],
                annotations=[dict(id=1, image_id=7, category_id=number, segmentation=SQUARE)])


def counts(found):
    return {split: (len(part.coco['images']), len(part.coco['annotations']))
            for split, part in found.items()}


@pytest.mark.parametrize('name, expected', [
    ('balloon', dict(train=(33, 136), val=(7, 22))),
    ('nuts', dict(all=(18, 165))),
    ('facade', dict(train=(36, 1008), val=(12, 380), test=(10, 381))),
    ('nails', dict(train=(170, 777), val=(50, 283), test=(8, 43))),
    ('penn_fudan', dict(all=(41, 161)))])
def test_real_data_sets_are_read(own, name, expected):
    found = read_annotations(own / name)
    assert counts(found) == expected
    for part in found.values():
        assert not part.fatal and json.dumps(part.coco)
        assert all((part.root / row['file_name']).is_file() for row in part.coco['images'])


@pytest.mark.parametrize('files', [
    ['settings.json', 'parquet/0.parquet', 'coco/annotations.json', 'vis/a.jpg'],
    ['preds/a.json', 'vis/a.jpg']])
def test_results_of_a_prediction_are_no_annotations(files, tmp_path, picture, write_json):
    """Not of what lies above them: COCO's JSON would come before LabelMe, drawings are images."""
    picture('images/a.jpg')
    write_json('images/a.json', dict(imagePath='a.jpg', imageWidth=60, imageHeight=40, shapes=[
        dict(label='cell', shape_type='polygon', points=[[2, 2], [12, 2], [12, 12], [2, 12]])]))
    for file in files:
        content = coco('../../images/a.jpg', 'car') if file.startswith('coco') else {}
        write_json(f'predictions/{file}', content)
    found = read_annotations(tmp_path)['all'].coco
    assert [row['file_name'] for row in found['images']] == ['images/a.jpg']
    assert [row['name'] for row in found['categories']] == ['cell']
    if 'settings.json' in files:
        with pytest.raises(InvalidInputError, match='give the folder of one format'):
            read_annotations(tmp_path / 'predictions')
        found = read_annotations(tmp_path / 'predictions' / 'coco', images=tmp_path / 'images')
        assert [row['name'] for row in found['all'].coco['categories']] == ['car']


def test_a_panoptic_file_is_no_coco_json_of_instances(tmp_path, picture, write_json):
    picture('a.jpg')
    segments = dict(image_id=7, file_name='a.png', segments_info=[dict(id=1, category_id=1)])
    write_json('panoptic.json', coco() | dict(annotations=[segments]))
    with pytest.raises(InvalidInputError, match='no annotations of a known format'):
        read_annotations(tmp_path)
    write_json('instances.json', coco())
    assert counts(read_annotations(tmp_path)) == dict(all=(1, 1))


def test_reading_needs_no_torch():
    code = ('import sys; from mmseg_instbox.datasets import read_annotations; '
            'sys.exit("torch" in sys.modules or "mmengine" in sys.modules)')
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


@pytest.mark.parametrize('image, file, split', [
    ('train/a.jpg', 'train/_annotations.coco.json', 'train'),  # Roboflow
    ('images/a.jpg', 'annotations/instances_default.json', 'all'),  # CVAT
    ('val2017/a.jpg', 'annotations/instances_val2017.json', 'val'),  # COCO
    ('images/a.jpg', 'result.json', 'all')])  # Label Studio
def test_layouts_of_coco_files(tmp_path, picture, write_json, image, file, split):
    picture(image)
    write_json(file, coco())
    write_json('annotations/captions_val2017.json', dict(images=[], annotations=[]))
    found = read_annotations(tmp_path)
    assert counts(found) == {split: (1, 1)}
    assert found[split].coco['images'][0]['file_name'] == image
    assert found[split].problems == []


def test_a_file_alone_and_its_folder_of_images(tmp_path, picture, write_json):
    picture('photos/a.jpg')
    file = write_json('elsewhere/labels.json', coco())
    found = read_annotations(file, images=tmp_path / 'photos')['all']
    assert found.root == tmp_path / 'photos' and len(found.coco['images']) == 1
    assert read_annotations(file)['all'].fatal
    assert not read_annotations(file, need_images=False)['all'].fatal


def test_images_of_equal_names_are_those_of_their_split(tmp_path, picture, write_json):
    for split in ('train', 'valid'):
        picture(f'{split}/a.jpg')
        write_json(f'{split}/_annotations.coco.json', coco())
    found = read_annotations(tmp_path)
    assert [found[split].coco['images'][0]['file_name'] for split in ('train', 'val')] == [
        'train/a.jpg', 'valid/a.jpg']


@pytest.mark.parametrize('files', [
    {'annotations/instances_Batch 1.json': 'images/Batch 1/a.jpg',  # CVAT
     'annotations/instances_Batch 2.json': 'images/Batch 2/a.jpg'},
    {'ds0/annotations/instances.json': 'ds0/images/a.jpg',  # Supervisely
     'ds1/annotations/instances.json': 'ds1/images/a.jpg'},
    {'annotations/val_instances_default.json': 'images/val/a.jpg',
     'annotations/instances_default.json': 'images/train/a.jpg'},
    {'annotations/instances_train2017.json': 'train2017/a.jpg',  # COCO
     'annotations/instances_val2017.json': 'val2017/a.jpg'}])
def test_images_of_equal_names_are_those_of_their_file(tmp_path, picture, write_json, files):
    for file, image in files.items():
        picture(image)
        write_json(file, coco())
    found = read_annotations(tmp_path)
    assert [row['file_name'] for part in found.values() for row in part.coco['images']] == [
        *files.values()]
    assert not any(part.problems for part in found.values())


@pytest.mark.parametrize('name', ['annotations.xml', 'via_region_data.csv', 'export.ndjson'])
def test_files_of_unknown_formats_are_refused_alike(tmp_path, name):
    (tmp_path / name).write_text('<annotations/>')
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ValueError, match='no annotations of a known format.*export COCO'):
            read_annotations(path)


def test_without_any_image_their_folder_is_asked_for(tmp_path, write_json):
    write_json('annotations.json', coco())
    [fatal] = read_annotations(tmp_path)['all'].fatal
    assert '--images' in fatal.message


def test_splits_share_their_categories(tmp_path, picture, write_json):
    for split, category in (('train', 'cell'), ('val', 'spore')):
        picture(f'{split}/a.jpg')
        write_json(f'{split}/labels.json', coco(category=category))
    found = read_annotations(tmp_path)
    names = [{row['id']: row['name'] for row in part.coco['categories']} for part in found.values()]
    assert names[0] == names[1] == {1: 'cell', 2: 'spore'}
    assert found['val'].coco['annotations'][0]['category_id'] == 2


def test_files_of_one_split_are_joined(tmp_path, picture, write_json):
    for number in (1, 2):
        picture(f'images/{number}.jpg')
        write_json(f'task{number}.json', coco(f'{number}.jpg', number=number))
    found = read_annotations(tmp_path)['all']
    assert [each['image_id'] for each in found.coco['annotations']] == [1, 2]
    assert [row['name'] for row in found.coco['categories']] == ['cell'] and not found.problems


def test_a_bom_is_passed_over_and_reported(tmp_path, picture):
    picture('a.jpg')
    (tmp_path / 'x.json').write_bytes(b'\xef\xbb\xbf' + json.dumps(coco()).encode())
    found = read_annotations(tmp_path)['all']
    assert [problem.kind for problem in found.problems] == ['encoding']


def test_what_is_not_recognised_is_told(tmp_path, picture):
    picture('a.jpg')
    with pytest.raises(ValueError, match='no annotations of a known format'):
        read_annotations(tmp_path)
    with pytest.raises(FileNotFoundError, match='gone'):
        read_annotations(tmp_path / 'gone')
    for name in ('x.json', 'y.json'):
        (tmp_path / name).write_text('{"images": [')
        with pytest.raises(ValueError, match='x.json: .* is no JSON or was cut off'):
            read_annotations(tmp_path)


def test_files_of_one_split_keep_their_ids_and_tell_their_videos_apart(
        tmp_path, picture, write_json):
    for name in 'ab':
        picture(f'{name}.jpg')
        content = coco(f'{name}.jpg', number=4) | dict(videos=[dict(id=1, name=f'clip {name}')])
        content['images'][0] |= dict(video_id=1, frame_id=3)
        write_json(f'{name}.json', content)
    found = read_annotations(tmp_path)['all'].coco
    assert [row['id'] for row in found['categories']] == [4]
    assert [(row['file_name'], row['video_id']) for row in found['images']] == [
        ('a.jpg', 1), ('b.jpg', 2)]
    assert found['videos'] == [dict(id=1, name='clip a'), dict(id=2, name='clip b')]


def test_labels_and_masks_may_lie_apart_from_the_images(tmp_path, picture):
    picture('photos/x/a.jpg')
    (tmp_path / 'yolo' / 'labels' / 'x').mkdir(parents=True)
    (tmp_path / 'yolo' / 'labels' / 'x' / 'a.txt').write_text('0 0.1 0.1 0.5 0.1 0.5 0.5')
    for folder in ('SegmentationClass', 'SegmentationObject', '__MACOSX/SegmentationObject',
                   'SegmentationObject/.ipynb_checkpoints'):
        write_mask(tmp_path / 'voc' / folder / 'a.png', np.ones((40, 60), np.uint8))
    write_mask(tmp_path / 'masks' / 'x' / 'a.png', np.ones((40, 60), np.uint8))
    for name in ('yolo', 'voc', 'masks'):
        found = read_annotations(tmp_path / name, images=tmp_path / 'photos')
        assert counts(found) == dict(all=(1, 1)) and not found['all'].problems
        assert found['all'].coco['images'][0]['file_name'] == 'x/a.jpg'


@pytest.mark.parametrize('enabled', [True, False])
def test_garbage_is_collected_afterwards_as_before(tmp_path, enabled):
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(InvalidInputError):
            read_annotations(tmp_path)
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_annotations_may_be_a_dictionary(tmp_path, picture, write_json):
    picture('a.jpg')
    row = dict(id=7, image_id=1, category_id=1, segmentation=[[2, 2, 22, 2, 22, 32]])
    write_json('livecell_train.json', dict(
        images=[dict(id=1, file_name='a.jpg', width=60, height=40)], annotations={'7': row},
        categories=[dict(id=1, name='cell')]))
    found = read_annotations(tmp_path)['train']
    assert [each['id'] for each in found.coco['annotations']] == [7]


def test_an_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / 'cells.v1i.coco-segmentation.zip').write_bytes(b'PK')
    with pytest.raises(ValueError, match='zip is an archive: unpack it'):
        read_annotations(tmp_path / 'cells.v1i.coco-segmentation.zip')


def test_the_lists_of_a_training_in_the_folder_are_no_annotations(tmp_path, picture, write_json):
    picture('a.jpg')
    points = [[2, 2], [22, 2], [22, 32]]
    write_json('a.json', dict(imagePath='a.jpg', imageWidth=60, imageHeight=40, shapes=[
        dict(label='corrected', points=points)]))
    write_json('work_dirs/data/annotations/train.json', dict(
        images=[dict(id=1, file_name='a.jpg', width=60, height=40)],
        annotations=[dict(id=1, image_id=1, category_id=1, segmentation=[sum(points, [])])],
        categories=[dict(id=1, name='before')]))
    found = read_annotations(tmp_path)['all']
    assert [row['name'] for row in found.coco['categories']] == ['corrected']


@pytest.mark.parametrize('boxes', ['YOLO', 'COCO', 'a YAML file', 'a broken JSON'])
def test_boxes_do_not_hide_masks_in_another_format(tmp_path, picture, write_json, boxes):
    picture('images/a.jpg')
    write_mask(tmp_path / 'masks' / 'a.png', np.ones((40, 60), np.uint8))
    content = coco()
    content['annotations'][0].update(segmentation=[], bbox=[2, 2, 10, 10])
    name, text = {'YOLO': ('labels/a.txt', '0 0.5 0.5 0.1 0.1'),
                  'COCO': ('coco.json', json.dumps(content)),
                  'a YAML file': ('data.yaml', 'train: images\nnames: [cell]'),
                  'a broken JSON': ('tsconfig.json', '// no JSON')}[boxes]
    for there in (True, False):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        if there:
            found = read_annotations(tmp_path)
            assert counts(found) == dict(all=(1, 1))
            assert [each.kind for each in found['all'].problems] == (
                [] if boxes in ('YOLO', 'COCO') else ['broken annotation'])
            (tmp_path / 'masks' / 'a.png').unlink()
        elif boxes in ('YOLO', 'COCO'):
            found = read_annotations(tmp_path)['all']
            assert found.fatal and 'box only' in {each.kind for each in found.problems}
        else:
            with pytest.raises(ValueError, match='describes YOLO data|no JSON'):
                read_annotations(tmp_path)


def count_lines(run, *arguments):
    """How many lines of the package a call executes, work that no busy machine changes; and its
    result."""
    count, package = 0, str(Path(mmseg_instbox.__file__).parent)

    def trace(frame, *_):
        nonlocal count
        count += 1
        return trace if frame.f_code.co_filename.startswith(package) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = run(*arguments)
    finally:
        sys.settrace(before)
    return count, result


@pytest.mark.parametrize('image, annotation', [
    ('images/{}/a.jpg', 'masks/{}/a.png'), ('{}/a.jpg', '{}/a_mask.png'),
    ('data/{0}/images/{0}/a.jpg', 'data/{0}/masks/a.png'),
    ('{}/a.jpg', '{}/a.json'), ('images/{}/a.jpg', 'json/{}/a.json'),
    ('images/{}/a.jpg', 'annotations/instances.json')])
def test_work_is_proportional_to_images_of_one_name(tmp_path, picture, write_json, image,
                                                    annotation):
    work = []
    for number in (30, 60):
        for folder in range(number):
            file = f'{number}/{annotation.format(folder)}'
            picture(f'{number}/{image.format(folder)}')
            if file.endswith('.png'):
                write_mask(tmp_path / file, np.ones((40, 60), np.uint8))
            else:  # a JSON of LabelMe
                path = os.path.relpath(f'{number}/{image.format(folder)}', os.path.dirname(file))
                write_json(file, dict(imagePath=path, imageWidth=60, imageHeight=40, shapes=[
                    dict(label='cell', points=[[2, 2], [22, 2], [22, 32]])]))
        if 'instances' in annotation:
            rows = coco() | dict(
                images=[dict(id=i, file_name=f'{i}/a.jpg') for i in range(number)],
                annotations=[dict(image_id=i, category_id=1, segmentation=SQUARE)
                             for i in range(number)])
            write_json(file, rows)
        lines, found = count_lines(read_annotations, tmp_path / str(number))
        assert counts(found) == dict(all=(number, number))
        work.append(lines)
    assert work[1] < 2.2 * work[0]
