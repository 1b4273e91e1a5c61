import numpy as np
import pytest

from mmseg_instbox.datasets import read_annotations

POLYGON = dict(name='polygon', all_points_x=[2, 12, 12], all_points_y=[2, 2, 12])


def entry(*regions, name='a.jpg'):
    return {name + '123': dict(filename=name, size=123, regions=[*regions], file_attributes={})}


def region(shape=POLYGON, **attributes):
    return dict(shape_attributes=shape, region_attributes=attributes)


def names(found):
    rows = {row['id']: row['name'] for row in found.coco['categories']}
    return [rows[each['category_id']] for each in found.coco['annotations']]


@pytest.mark.parametrize('project', [False, True])
def test_regions_are_a_list_or_an_object(tmp_path, picture, write_json, project):
    picture('a.jpg')
    content = entry(region())
    content['a.jpg123']['regions'] = {'0': region()}
    whole = dict(_via_settings={}, _via_img_metadata=content)
    write_json('via.json', whole if project else content)
    found = read_annotations(tmp_path)['all']
    assert found.coco['annotations'][0]['segmentation'] == [[2, 2, 12, 2, 12, 12]]
    assert names(found) == ['object'] and not found.problems


@pytest.mark.parametrize('attributes, expected', [
    (dict(name='cell', colour='red'), 'cell'), (dict(colour='red'), 'red'),
    (dict(type=dict(cell=True, dust=False)), 'cell'), (dict(name=''), 'object')])
def test_the_category_is_an_attribute(tmp_path, picture, write_json, attributes, expected):
    picture('a.jpg')
    write_json('via.json', entry(region(**attributes)))
    assert names(read_annotations(tmp_path)['all']) == [expected]


def test_a_region_without_the_attribute_of_the_others_is_reported(tmp_path, picture, write_json):
    picture('a.jpg')
    other = dict(POLYGON, all_points_x=[22, 32, 32])
    write_json('via.json', entry(region(kind='cell'), region(other, kind=''), name='a.jpg'))
    found = read_annotations(tmp_path)['all']
    assert names(found) == ['cell', 'object']
    [problem] = found.problems
    assert problem.kind == 'unknown category' and "region 2 of a.jpg has no 'kind'" in str(problem)


def test_other_shapes(tmp_path, picture, write_json):
    picture('a.jpg')
    write_json('via.json', entry(
        region(dict(name='circle', cx=30, cy=20, r=10)),
        region(dict(name='ellipse', cx=30, cy=20, rx=5, ry=10, theta=np.pi / 2)),
        region(dict(POLYGON, name='polyline')),
        region(dict(name='rect', x=1, y=1, width=5, height=5)),
        region(dict(name='polygon', all_points_x=[1, 2])), None))
    found = read_annotations(tmp_path)['all']
    assert [round(each['area'] / 3.14) for each in found.coco['annotations']] == [
        100, 50, 16]
    assert found.coco['annotations'][1]['bbox'] == pytest.approx([20, 15, 20, 10], abs=0.1)
    assert [problem.kind for problem in found.problems] == ['box only', 'no mask', 'no mask']
    assert 'region 4 of a.jpg' in found.problems[0].message
