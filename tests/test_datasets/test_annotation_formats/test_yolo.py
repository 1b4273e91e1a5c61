import pytest

from mmseg_instbox.datasets import read_annotations

LINE = '1 0.1 0.1 0.5 0.1 0.5 0.5'  # of 60 x 40 pixels: 6, 4, 30, 4, 30, 20


@pytest.fixture
def write(tmp_path):
    def run(name, text):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return run


def names(found):
    rows = {row['id']: row['name'] for row in found.coco['categories']}
    return [rows[each['category_id']] for each in found.coco['annotations']]


@pytest.mark.parametrize('image, label, entry', [
    ('train/images/a.b.jpg', 'train/labels/a.b.txt', '../train/images'),  # Roboflow
    ('images/train/a.jpg', 'labels/train/a.txt', 'images/train'),  # Ultralytics
    ('images/train/a.jpg', 'labels/train/a.txt', '/home/me/data/images/train'),
    ('train/a.JPG', 'train/a.txt', 'train')])
@pytest.mark.parametrize('as_list', [False, True])
def test_layouts(tmp_path, picture, write, image, label, entry, as_list):
    picture(image)
    write(label, f'{LINE}\r\n\r\n')
    listed = '[dust, cell]' if as_list else '{0: dust, 1: cell}'
    write('data.yaml', f'train: {entry}\nnames: {listed}\n')
    found = read_annotations(tmp_path)
    assert [*found] == ['train'] and found['train'].coco['images'][0]['file_name'] == image
    [each] = found['train'].coco['annotations']
    assert each['segmentation'][0] == pytest.approx([6, 4, 30, 4, 30, 20])
    assert names(found['train']) == ['cell']


def test_a_list_of_images_is_a_split(tmp_path, picture, write):
    for name in 'ab':
        picture(f'images/{name}.jpg')
        write(f'labels/{name}.txt', LINE)
    write('a.txt', './images/a.jpg\n')
    write('b.txt', 'C:\\data\\images\\b.jpg\n')
    write('data.yml', 'train: a.txt\nval: b.txt\nnames: [dust, cell]\n')
    found = read_annotations(tmp_path / 'data.yml')
    assert {split: part.coco['images'][0]['file_name'] for split, part in found.items()} == dict(
        train='images/a.jpg', val='images/b.jpg')


@pytest.mark.parametrize('file', ['classes.txt', 'obj.names', 'labels/classes.txt', None])
def test_without_yaml_names_are_in_a_text_file_or_numbers(tmp_path, picture, write, file):
    picture('images/a.jpg')
    picture('images/new.jpg')
    write('labels/a.txt', LINE)
    if file:
        write(file, 'dust\ncell\n')
    found = read_annotations(tmp_path)['all']
    assert names(found) == ['cell' if file else 'category 1'] and len(found.coco['images']) == 1


def test_bad_lines_are_left_out_alone(tmp_path, picture, write):
    picture('images/a.jpg')
    picture('images/b.jpg')
    write('labels/b.txt', '')
    write('labels/a.txt', f'{LINE}\n0 0.5 0.5 0.1 0.1\nx 1\n7 0.1 0.1 0.5 0.1 0.5 0.5\n'
          '0 10 10 50 10 50 50\n0 0.1 0.1 0.2\n0 0.9 0.9 0.9 0.9\n')
    write('data.yaml', 'train: images\nnames: [dust, cell]\n')
    found = read_annotations(tmp_path)['train']
    assert len(found.coco['annotations']) == 1
    assert sorted(problem.kind for problem in found.problems) == [
        'box only', 'box only', 'broken annotation', 'broken annotation', 'broken annotation',
        'empty category', 'no objects', 'unknown category']
    assert all(problem.file in ('labels/a.txt', 'labels/b.txt', '') for problem in found.problems)


def test_labels_without_image_are_reported(tmp_path, picture, write):
    picture('images/a.jpg')
    write('labels/a.txt', LINE)
    write('labels/gone.txt', LINE)
    found = read_annotations(tmp_path)['all']
    assert [(each.kind, each.file) for each in found.problems] == [
        ('missing file', 'labels/gone.txt')]


def test_upper_case_suffixes_and_files_of_macs(tmp_path, picture, write):
    picture('images/a.JPG')
    write('labels/a.TXT', LINE)
    write('labels/._a.txt', LINE)
    write('__MACOSX/labels/b.txt', LINE)
    write('__MACOSX/x.json', '\0')
    write('DATA.YAML', 'train: images\nnames: [dust, cell]\n')
    found = read_annotations(tmp_path)['train']
    assert names(found) == ['cell']
    assert [each.kind for each in found.problems] == ['empty category']


@pytest.mark.parametrize('listed', ['[dust, cell, spore]', None])
def test_categories_keep_their_order(tmp_path, picture, write, listed):
    picture('images/a.jpg')
    write('labels/a.txt', '\n'.join(f'{i} {LINE[2:]}' for i in (2, 0, 1)))
    write('data.yaml', f'train: images\nnames: {listed or "{}"}\n')
    found = read_annotations(tmp_path)['train'].coco
    assert [(row['id'], row['name']) for row in found['categories']] == [
        *enumerate(['dust', 'cell', 'spore'] if listed else
                   ['category 0', 'category 1', 'category 2'], 1)]
    assert [each['category_id'] for each in found['annotations']] == [3, 1, 2]


def test_labels_of_images_elsewhere_keep_their_split(tmp_path, picture, write):
    for name in 'abc':
        picture(f'photos/{name}.jpg')
    for label in ('train/a', 'val/b'):
        write(f'export/labels/{label}.txt', LINE)
    write('export/data.yaml', 'path: .\ntrain: train.txt\nval: val.txt\nnames: [dust, cell]\n')
    lists = dict(train='data/images/train/a.jpg\ndata/images/train/c.jpg\n',  # CVAT
                 val='data/images/val/b.jpg\n')
    for listed in (False, True):
        found = read_annotations(tmp_path / 'export', images=tmp_path / 'photos')
        names = {split: [row['file_name'] for row in part.coco['images']
                         if row['id'] in {each['image_id'] for each in part.coco['annotations']}]
                 for split, part in found.items()}
        assert (names['train'], names['val']) == (['a.jpg'], ['b.jpg'])
        assert ('c.jpg' in str(found['train'].problems)) is listed
        for split, text in lists.items():
            write(f'export/{split}.txt', text)


def test_data_without_an_image_for_a_label_are_refused(tmp_path, write):
    write('labels/train/a.txt', LINE)
    write('data.yaml', 'train: train.txt\nnames: [dust, cell]\n')
    with pytest.raises(ValueError, match='none of 1 label files.*0 images.*--images'):
        read_annotations(tmp_path)


def test_folders_of_another_machine_are_found_by_their_last_parts(tmp_path, picture, write):
    for split in ('train', 'val'):
        picture(f'datasets/cells/images/{split}/a.jpg')
        write(f'datasets/cells/labels/{split}/a.txt', LINE)
    write('cells.yaml', 'path: /home/me/datasets/cells\ntrain: images/train\nval: images/val\n'
          'test: # none\nnames: [dust, cell]\n')
    found = read_annotations(tmp_path / 'cells.yaml')
    assert {split: len(part.coco['images']) for split, part in found.items()} == dict(
        train=1, val=1)


@pytest.mark.parametrize('folders', [('train', 'valid'), ('train', 'test'), ('train', )])
def test_folders_that_are_not_there_take_no_images(tmp_path, picture, write, folders):
    for folder in folders:
        picture(f'{folder}/images/a.jpg')
        write(f'{folder}/labels/a.txt', LINE)
    # in the order of the alphabet, as Roboflow's Python package writes it
    write('data.yaml', 'names: [dust, cell]\nnc: 2\ntest: ../test/images\n'
          'train: cells-1/train/images\nval: ../valid/images\n')
    found = read_annotations(tmp_path)
    assert [*found] == [dict(valid='val').get(each, each) for each in folders]
    assert all(len(part.coco['images']) == 1 for part in found.values())


@pytest.mark.parametrize('entry', ['.', '/home/me/{}', '../{}/'])
def test_images_in_the_folder_itself(tmp_path, picture, write, entry):
    picture('a.jpg')
    write('a.txt', LINE)
    entry = entry.format(tmp_path.name)
    write('data.yaml', f'names: [dust, cell]\nval: {entry}\ntrain: {entry}\n')
    assert [*read_annotations(tmp_path)] == ['train']


def test_names_of_files_apart_that_several_have_are_not_taken(tmp_path, picture, write):
    for name in ('first/a.jpg', 'second/a.jpg', 'second/b.jpg', 'masks/b.png'):
        picture(f'photos/{name}')
    for label in ('train/a', 'val/a', 'second/b'):
        write(f'export/labels/{label}.txt', LINE)
    found = read_annotations(tmp_path / 'export', images=tmp_path / 'photos')['all']
    assert [row['file_name'] for row in found.coco['images']] == ['second/b.jpg']


def test_names_are_also_in_a_yaml_file_of_a_folder_below(tmp_path, picture, write):
    for split in ('train', 'val'):
        picture(f'{split}/images/a.jpg')
        write(f'{split}/labels/a.txt', LINE)
        write(f'{split}/data.yaml', 'train: images\nval: images\nnames: [dust, cell]\n')
    found = read_annotations(tmp_path)
    assert [names(found[split]) for split in ('train', 'val')] == [['cell'], ['cell']]


def test_labels_of_label_studio_without_its_images(tmp_path, picture, write):
    """It puts eight digits before the names of uploads."""
    picture('images/a.jpg')
    picture('images/0123abcd-b.jpg')
    for name in 'ab':
        write(f'labels/0123abcd-{name}.txt', LINE)
    write('classes.txt', 'dust\ncell\n')
    write('notes.json', '{"categories": [{"id": 0, "name": "dust"}], "info": {"year": 2024}}')
    found = read_annotations(tmp_path)['all']
    assert names(found) == ['cell', 'cell']
    assert [each.kind for each in found.problems] == ['empty category']


def test_paths_of_windows_in_quotes(tmp_path, picture, write):
    for split in ('train', 'val'):
        picture(f'images/{split}/a.jpg')
        write(f'labels/{split}/a.txt', LINE)
    write('data.yaml', '\r\n'.join(f'{split}: "C:\\Users\\me\\images\\{split}"'
                                    for split in ('train', 'val')) + '\r\nnames: [dust, "c\xe9ll"]')
    assert [names(part) for part in read_annotations(tmp_path).values()] == [['c\xe9ll']] * 2


def test_labelled_images_in_no_folder_of_the_yaml_file_are_reported(tmp_path, picture, write):
    for split in ('train', 'valid'):
        picture(f'{split}/images/a.jpg')
        write(f'{split}/labels/a.txt', LINE)
    write('data.yaml', 'train: ../train/images\nval: ../val/images\nnames: [dust, cell]\n')
    found = read_annotations(tmp_path)
    assert [*found] == ['train'] and [(each.kind, each.file) for each in found['train'].problems
                                      if each.kind != 'empty category'] == [
        ('in no part', 'valid/labels/a.txt')]


@pytest.mark.parametrize('text', ['names: [yes, no]', 'names:\n  0: yes\n  1: no\n  \u00b2: x',
                                  'names: [yes, no]\ndate: 2024-02-30'])
def test_values_of_the_yaml_file_are_text(tmp_path, picture, write, text):
    picture('images/a.jpg')
    write('labels/a.txt', LINE)
    write('data.yaml', f'train: images\nval:\n{text}\n')
    assert names(read_annotations(tmp_path)['train']) == ['no']
