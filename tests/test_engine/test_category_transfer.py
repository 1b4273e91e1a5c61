import pytest
import torch

from mmseg_instbox.engine import build_network, config_to_json, load_config
from mmseg_instbox.engine.category_transfer import start_from, transfer_weights
from mmseg_instbox.errors import InvalidInputError

OLD = ('background', 'cat', 'Dog')


def states(num_classes):
    """A classifier, a layer that reads 5 features and the logits, and one without categories."""
    torch.manual_seed(num_classes)
    return {'rows': torch.randn(num_classes, 7, 1, 1), 'bias': torch.randn(num_classes),
            'mixer': torch.randn(4, 5 + num_classes), 'other': torch.randn(3, 3)}


@pytest.mark.parametrize('new', [('background', 'dog', 'tree', 'bush'), ('background', 'tree'),
                                 ('background', 'tree', 'dog')])
def test_rows_of_equal_names_are_copied_and_others_are_new(new):
    old, fresh, wider = states(3), states(len(new)), states(len(new) + 1)
    weights, kept = transfer_weights({key: value.half() for key, value in old.items()}, fresh,
                                     wider, OLD, new)
    assert kept == {'background': 'background'} | ({'dog': 'Dog'} if 'dog' in new else {})
    for index, name in enumerate(new):
        known = dict(background=0, dog=2).get(name)
        for key in ('rows', 'bias'):
            expected = fresh[key][index] if known is None else old[key].half().float()[known]
            assert torch.equal(weights[key][index], expected)
        expected = fresh['mixer'][:, 5 + index] if known is None else (
            old['mixer'].half().float()[:, 5 + known])
        assert torch.equal(weights['mixer'][:, 5 + index], expected)
    assert torch.equal(weights['mixer'][:, :5], old['mixer'].half().float()[:, :5])
    assert torch.equal(weights['other'], old['other'].half().float())


def test_a_new_category_starts_as_the_one_that_it_is_alike():
    new = ('background', 'dog', 'kitten', 'tree')
    old, fresh, wider = states(3), states(4), states(5)
    weights, known = transfer_weights(old, fresh, wider, OLD, new,
                                      alike=dict(kitten='cat', dog='cat'))  # names go first
    assert known == dict(background='background', dog='Dog', kitten='cat')
    expected = [*old['bias'][[0, 2, 1]], fresh['bias'][3]]
    assert weights['bias'].tolist() == [float(value) for value in expected]


def test_weights_of_another_architecture_are_refused():
    new = ('background', 'tree')
    with pytest.raises(InvalidInputError, match=r'base.pth has weights of shape \(2, 3\) other'):
        transfer_weights(dict(states(3), other=torch.zeros(2, 3)), states(2), states(3), OLD, new,
                         'base.pth')


def test_a_model_with_other_categories_loads_its_weights(tiny_config, tmp_path):
    cfg = load_config(str(tiny_config))
    state = {f'module.{key}': value for key, value in build_network(cfg).state_dict().items()}
    torch.save(dict(state_dict=state, meta=dict(
        config_json=config_to_json(cfg), dataset_meta=dict(classes=('background', 'a', 'b')))),
        tmp_path / 'base.pth')
    model, weights, kept = start_from(str(tmp_path / 'base.pth'), ('background', 'b', 'c', 'd'))
    assert kept == dict(background='background', b='b') and model['decode_head']['num_classes'] == 4
    network = build_network(type(cfg)(dict(model=model)))
    network.load_state_dict(weights)
    assert network.thing_ids == [1, 2, 3]
    model, weights, kept = start_from(str(tiny_config), ('background', 'b'))
    assert weights is None and not kept


def test_a_base_without_box_head_is_named(tmp_path):
    file = tmp_path / 'plain.py'
    file.write_text("model = dict(type='EncoderDecoder', decode_head=dict(num_classes=2))\n")
    with pytest.raises(InvalidInputError, match='plain.py has no decode_head .* or no box_head'):
        start_from(str(file), ('background', 'b'))
