from mmseg_instbox.utils import walk

VALUE = dict(model=dict(heads=[dict(type='A'), (1, 2)]), names={'x'})


def test_each_value_comes_with_its_place_and_key_after_what_holds_it():
    found = [(place, key) for place, key, _ in walk(VALUE, 'cfg')]
    assert found == [
        ('cfg', None), ('cfg.model', 'model'), ('cfg.model.heads', 'heads'),
        ('cfg.model.heads[0]', 0), ('cfg.model.heads[0].type', 'type'), ('cfg.model.heads[1]', 1),
        ('cfg.model.heads[1][0]', 0), ('cfg.model.heads[1][1]', 1), ('cfg.names', 'names'),
        ('cfg.names[0]', 0)]
    values = [value for _, _, value in walk(VALUE)]
    assert values[0] is VALUE and values[3] is VALUE['model']['heads'][0]
    assert values[-2:] == [{'x'}, 'x']


def test_places_without_a_name_for_the_whole_begin_with_the_first_key():
    assert [place for place, _, _ in walk(dict(a=[1]))] == ['', 'a', 'a[0]']


def test_values_may_be_changed_on_the_way():
    value = dict(a=dict(type='SyncBN'), b=[dict(type='SyncBN')])
    for _, _, node in walk(value):
        if isinstance(node, dict) and 'type' in node:
            node['type'] = 'BN'
    assert value == dict(a=dict(type='BN'), b=[dict(type='BN')])
