import pytest

from mmseg_instbox.apis.model_index import find_model, list_models
from mmseg_instbox.engine import find_config


def test_a_path_stands_for_itself_and_a_name_for_its_config(tiny_config):
    assert find_config(str(tiny_config)) == str(tiny_config)
    name = list_models()[0]
    assert find_config(name) == find_model(name)[0]


def test_a_missing_file_names_those_near_it(tmp_path):
    for name in ('model_a.py', 'model_b.py', 'other.txt'):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError) as error:
        find_config(str(tmp_path / 'model.py'))
    assert 'near it are model_' in str(error.value) and 'other' not in str(error.value)


def test_a_missing_folder_is_told():
    with pytest.raises(FileNotFoundError, match="no folder 'nowhere'"):
        find_config('nowhere/model.py')


def test_an_unknown_name_is_answered_with_near_ones():
    name = list_models()[0]
    with pytest.raises(ValueError, match=name):
        find_config(name[:-1])
