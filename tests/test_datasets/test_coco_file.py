import json
import re

import pytest
from coco_pictures import content

from mmseg_instbox.datasets.coco_file import read_coco_file


def save(tmp_path, table):
    file = tmp_path / 'instances.json'
    file.write_text(json.dumps(table))
    return str(file)


def test_the_three_tables_are_those_of_the_file(tmp_path):
    table = content()
    assert read_coco_file(save(tmp_path, table)) == {
        name: table[name] for name in ('images', 'categories', 'annotations')}


def dropped(name, key):
    def change(table):
        del table[name][0][key]
    return change


def replaced(name, key, value, row=0):
    def change(table):
        table[name][row][key] = value
    return change


@pytest.mark.parametrize('change, message', [
    (lambda table: table.pop('annotations'), "has no list 'annotations'. Give an instances JSON"),
    (lambda table: table.update(images={}), "has no list 'images'"),
    (dropped('images', 'width'), "image 11 has no 'width'"),
    (dropped('images', 'id'), "an entry of images has no 'id'"),
    (replaced('images', 'id', '11'), "image 11 has no 'id', or one of a wrong type"),
    (replaced('images', 'height', 0), 'image 11 is 60 x 0 pixels'),
    (replaced('images', 'id', 12), 'image 12 is there twice'),
    (dropped('categories', 'name'), "category 3 has no 'name'"),
    (replaced('categories', 'id', 7), 'category 7 is there twice'),
    (dropped('annotations', 'segmentation'), "annotation 1 has no 'segmentation'"),
    (replaced('annotations', 'id', 2), 'annotation 2 is there twice'),
    (replaced('annotations', 'image_id', 99, 2), 'annotation 3 has image_id 99, which is not'),
    (replaced('annotations', 'category_id', 4, 2), 'annotation 3 has category_id 4, which is not'),
    (lambda table: table['annotations'].append(None), 'an entry of annotations has no'),
])
def test_a_wrong_file_is_told_in_a_sentence(tmp_path, change, message):
    table = content()
    change(table)
    with pytest.raises(ValueError, match=f'instances.json: .*{re.escape(message)}'):
        read_coco_file(save(tmp_path, table))


def test_files_that_are_no_json_are_named(tmp_path):
    file = save(tmp_path, [])
    with pytest.raises(ValueError, match="has no list 'images'"):
        read_coco_file(file)
    (tmp_path / 'instances.json').write_text(json.dumps(content())[:-100])
    with pytest.raises(ValueError, match='instances.json: .*cut off'):
        read_coco_file(file)
    with pytest.raises(FileNotFoundError, match='none.json: no such annotation file'):
        read_coco_file(str(tmp_path / 'none.json'))
