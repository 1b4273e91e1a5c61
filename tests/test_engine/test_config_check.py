"""A config that came with a checkpoint builds registered types and nothing else."""
import pickle

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_instbox.engine.config_check import UNSAFE_TYPES, check_config_is_data


def test_configs_of_the_repository_are_data(repo):
    for name in ('instbox/ablations/instbox_fcrn-r50-d8_8xb2-20k_voc12-sbd-500x500_own-backbone',
                 'instbox/ablations/instbox_mobilenet-v2-d16_1xb8-2k_voc-mini-352x352_tta',
                 'instbox/any_model/instbox_segnext-mscan-t_1xb8-2k_voc-mini-352x352',
                 'fcrn/fcrn-r101-d8_8xb1-80k_cityscapes-512x1024'):
        check_config_is_data(Config.fromfile(repo / 'configs' / f'{name}.py').to_dict())


def test_without_the_check_a_config_would_run_a_command(tmp_path):
    """What the check is there for: MMEngine's registries import and call whatever they are told."""
    file = tmp_path / 'made'
    config = dict(type='subprocess.call', args=['touch', str(file)])
    with pytest.raises(ValueError, match=r"cfg\.model\.neck\.type is 'subprocess\.call'"):
        check_config_is_data(dict(model=dict(neck=config)))
    assert not file.exists()
    MODELS.build(config)
    assert file.exists()


@pytest.mark.parametrize('name', [
    'os.system', 'builtins.eval', 'mmengine.mkdir_or_exist', 'mmseg.os', 'os', 'this', '', 'mmseg.',
    'mmengine.utils.path.os.system', 'mmdet.ResNet', 'runpy.run_path', *UNSAFE_TYPES, 7, None,
    ['ResNet']])
@pytest.mark.parametrize('key', ['type', 'constructor', 'runner_type'])
def test_types_that_are_no_registered_data_are_refused(key, name):
    with pytest.raises(ValueError, match=rf'cfg\.hooks\[0\]\.{key} is'):
        check_config_is_data(dict(hooks=[{key: name}]))


def test_a_file_that_a_loss_would_unpickle_is_refused(tmp_path):
    class Payload:

        def __reduce__(self):
            return open, (str(tmp_path / 'made'), 'w')

    file = tmp_path / 'weights.pkl'
    file.write_bytes(pickle.dumps(Payload()))
    loss = dict(type='CrossEntropyLoss', class_weight=str(file))
    for config in (dict(loss_decode=loss), dict(losses=[str(file).upper()])):
        with pytest.raises(ValueError, match='(?i)a file whose reading can run code'):
            check_config_is_data(config)
    assert not (tmp_path / 'made').exists()
    MODELS.build(loss)
    assert (tmp_path / 'made').exists()


@pytest.mark.parametrize('name', ['InstBoxSegmentor', 'mmseg.ResNet', 'mmseg_instbox.PixelBoxHead',
                                  'mmengine.Adam', 'Pretrained', 'BN', 'mmseg.BN'])
def test_registered_types_pass_with_and_without_scope(name):
    check_config_is_data(dict(anything=[(dict(type=name), )]))


@pytest.mark.parametrize('key', ['_scope_', 'default_scope'])
def test_a_scope_is_imported_so_only_known_ones_pass(key):
    check_config_is_data({key: 'mmseg', 'model': {key: 'mmseg_instbox'}, 'other': {key: None}})
    with pytest.raises(ValueError, match=f"{key} is the scope 'evil'"):
        check_config_is_data(dict(model={key: 'evil'}))


@pytest.mark.parametrize('imports', ['mmseg_instbox', ['mmseg_instbox', 'mmseg_instbox.models'],
                                     [], None])
def test_imports_of_this_package_pass(imports):
    check_config_is_data(dict(custom_imports=dict(imports=imports, allow_failed_imports=False)))


@pytest.mark.parametrize('imports', ['evil', ['mmseg_instbox', 'os'], ['mmseg_instbox_evil'],
                                     ['mmseg_instbox', 7]])
def test_other_imports_are_refused(imports):
    with pytest.raises(ValueError, match=r'The config is not data alone: cfg\.custom_imports'):
        check_config_is_data(dict(custom_imports=dict(imports=imports)))


def test_the_sentence_says_whose_config_it_is():
    with pytest.raises(ValueError, match=r"^model\.pth is not data alone: cfg\.a\.type is 'x\.y'"):
        check_config_is_data(dict(a=dict(type='x.y')), 'model.pth')
