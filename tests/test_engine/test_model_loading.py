import socket

import pytest
import torch
from mmengine.config import Config
from mmseg.apis import inference_model
from mmseg.registry import MODELS

from mmseg_instbox.engine import (
    build_network,
    config_io,
    config_to_json,
    load_config,
    load_model,
)
from mmseg_instbox.engine import model_loading as module
from mmseg_instbox.errors import InstBoxError, InvalidInputError

CLASSES = ('background', 'square', 'disc')
META = dict(classes=CLASSES, thing_classes=('square', 'disc'),
            palette=[[0, 0, 0], [200, 0, 0], [0, 0, 200]])


@pytest.fixture(scope='module')
def network(tiny_config):
    torch.manual_seed(0)
    return build_network(load_config(str(tiny_config))).eval()


@pytest.fixture(scope='module')
def weights(network, tmp_path_factory):
    """Weights with the names of their categories, without config."""
    file = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save(dict(state_dict=network.state_dict(), meta=dict(dataset_meta=META)), file)
    return file


@pytest.fixture(scope='module')
def alone(network, tiny_config, tmp_path_factory):
    """A checkpoint that carries its config."""
    file = tmp_path_factory.mktemp('alone') / 'alone.pth'
    meta = dict(dataset_meta=META, config_json=config_to_json(load_config(str(tiny_config))))
    torch.save(dict(state_dict=network.state_dict(), meta=meta), file)
    return file


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What loading logs."""
    messages = []
    monkeypatch.setattr(module, 'print_log', lambda message, *_: messages.append(message))
    return messages


def same(model, network) -> bool:
    state = network.state_dict()
    return all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_data_preprocessor_beside_the_model_is_taken(tiny_config, weights):
    """As MMEngine's runner does in training."""
    cfg = load_config(str(tiny_config))
    cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
    loaded = load_model(cfg, weights, device='cpu').data_preprocessor
    assert loaded.mean.flatten().tolist() == pytest.approx(cfg.data_preprocessor['mean'])


def test_config_and_weights(tiny_config, weights, network, tiny_voc):
    model = load_model(tiny_config, weights, device='cpu')
    assert same(model, network) and not model.training
    assert model.dataset_meta == META
    assert model.cfg.model.type == 'InstBoxSegmentor'
    result = inference_model(model, str(tiny_voc / 'JPEGImages' / '000.jpg'))
    assert result.pred_instances.masks.shape[1:] == (64, 64)


def test_a_checkpoint_alone(alone, network, tiny_config):
    model = load_model(str(alone), device='cpu')
    assert same(model, network) and model.dataset_meta == META
    assert repr(model.cfg.test_pipeline) == repr(load_config(str(tiny_config)).test_pipeline)


def test_a_name_of_the_index(monkeypatch, tiny_config, weights, network):
    monkeypatch.setattr(config_io, 'find_model', lambda name: (str(tiny_config), str(weights)))
    assert same(load_model('tiny', device='cpu'), network)
    monkeypatch.setattr(config_io, 'find_model', lambda name: (str(tiny_config), None))
    assert same(load_model('tiny', weights, device='cpu'), network)
    with pytest.raises(ValueError, match='no weights for tiny'):
        load_model('tiny')


def test_options_override_the_config(tiny_config, alone):
    model = load_model(alone, device='cpu', cfg_options={'model.test_cfg.keep_boxes': True})
    assert model.test_cfg.keep_boxes is True
    cfg = load_config(str(tiny_config))
    load_model(cfg, alone, device='cpu', cfg_options={'model.test_cfg.keep_boxes': True})
    assert 'keep_boxes' not in cfg.model.get('test_cfg', {})  # the caller's config stays


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_the_cpu_is_taken_and_told_where_there_is_no_gpu(alone, told):
    assert next(load_model(alone).parameters()).device.type == 'cpu'
    assert told == ['There is no GPU here: the model predicts on the CPU.']
    load_model(alone, device='cpu')
    assert len(told) == 1  # who asks for the CPU need not be told


@pytest.mark.parametrize('device', ['cuda', 'cuda:7', 'gpu'])
@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
def test_a_device_that_is_not_there_is_answered_with_those_that_are(alone, device):
    with pytest.raises(InvalidInputError, match=f"no device '{device}' here: give one of cpu.$"):
        load_model(alone, device=device)


def test_random_weights_are_told(tiny_config, told):
    model = load_model(tiny_config, device='cpu')
    assert 'random' in told[0]
    assert model.dataset_meta['classes'] == CLASSES  # of the config's data set
    assert model.dataset_meta['thing_classes'] == CLASSES[1:]
    assert len(model.dataset_meta['palette']) == 3


def test_half_precision_is_computed_with_in_single(alone, network, tmp_path):
    checkpoint = torch.load(alone, weights_only=True)
    state = checkpoint['state_dict']
    halves = {key: value.half() for key, value in state.items() if value.is_floating_point()}
    checkpoint['state_dict'] = {f'module.{key}': value for key, value in (state | halves).items()}
    torch.save(checkpoint, tmp_path / 'half.pth')
    model = load_model(tmp_path / 'half.pth', device='cpu')
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    state = network.state_dict()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=1e-3, atol=1e-6)


def test_bare_weights_load_with_a_config(network, tiny_config, tmp_path):
    torch.save(network.state_dict(), tmp_path / 'bare.pth')
    assert same(load_model(tiny_config, tmp_path / 'bare.pth', device='cpu'), network)


def test_another_architecture_is_named(tiny_config, weights, alone, tmp_path):
    state = torch.load(weights, weights_only=True)['state_dict']
    state['box_head.conv_seg.weight'] = torch.ones(7, 3, 1, 1)
    state['other.weight'] = state.pop('decode_head.conv_seg.weight')
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=(
            r'other\.pth is of another architecture .*: 1 missing \(decode_head\.conv_seg\.weight\)'
            r'; 1 unexpected \(other\.weight\); 1 of another shape '
            r'\(box_head\.conv_seg\.weight \(7, 3, 1, 1\) instead of \(4, ')):
        load_model(tiny_config, tmp_path / 'other.pth', device='cpu')
    with pytest.raises(ValueError, match=r'\d\d missing \((\S+, ){3}\.\.\.\)'):
        load_model(alone, device='cpu', cfg_options={'model.backbone.depth': 50})
    torch.save(dict(notes=['no weights']), tmp_path / 'none.pth')
    with pytest.raises(ValueError, match=r'none\.pth has no weights: its entries are notes'):
        load_model(tiny_config, tmp_path / 'none.pth', device='cpu')
    torch.save({7: torch.ones(1)}, tmp_path / 'numbers.pth')
    with pytest.raises(ValueError, match=r'numbers\.pth is of .* 1 unexpected \(7\)'):
        load_model(tiny_config, tmp_path / 'numbers.pth', device='cpu')


def test_what_carries_no_config_needs_one(weights, alone, tmp_path):
    with pytest.raises(ValueError, match='carries no config: give the config'):
        load_model(weights)
    torch.save(dict(state_dict={}, meta=dict(cfg='raise SystemExit')), tmp_path / 'python.pth')
    with pytest.raises(ValueError, match='only as Python, which is not run'):
        load_model(tmp_path / 'python.pth')
    with pytest.raises(ValueError, match='are checkpoints both'):
        load_model(alone, weights)


def test_wrong_names_are_answered(tiny_config, tmp_path):
    with pytest.raises(ValueError, match='no model .instbox_fcrn. '):
        load_model('instbox_fcrn')
    with pytest.raises(FileNotFoundError, match=r'tinny\.py.* tiny\.py'):
        load_model(tiny_config.with_name('tinny.py'))
    with pytest.raises(FileNotFoundError, match='no checkpoint .gone.pth'):
        load_model(tiny_config, 'gone.pth')
    (tmp_path / 'empty.py').write_text('a = 1\n')
    with pytest.raises(ValueError, match=r'empty\.py has no model'):
        load_model(tmp_path / 'empty.py')


def test_categories_need_names(tiny_config, weights, network, tmp_path):
    cfg = load_config(str(tiny_config))
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg.pop(key)
    bare = tmp_path / 'bare.pth'
    torch.save(network.state_dict(), bare)
    with pytest.raises(ValueError, match='has 3 categories, but .* no names'):
        load_model(cfg, bare, device='cpu')
    assert load_model(cfg, weights, device='cpu').dataset_meta == META


def test_names_of_a_data_set_class_within_a_wrapper(tiny_config, network, told):
    cfg = load_config(str(tiny_config))
    inner = dict(type='VOCInstDataset')
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, inner], _delete_=True)
    cfg.model.decode_head.num_classes = 21
    meta = load_model(cfg, device='cpu').dataset_meta
    assert meta['classes'][:2] == ('background', 'aeroplane')
    assert len(meta['thing_classes']) == 20 and meta['palette'][1] == [128, 0, 0]


@pytest.mark.parametrize('several', [False, True])
def test_weights_to_start_a_training_from_are_left_out(tiny_config, weights, monkeypatch, several):
    def refuse(*_):
        raise AssertionError('the network was asked')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    monkeypatch.setenv('MMENGINE_HOME', str(weights.parent))  # an empty cache
    cfg = Config.fromfile(tiny_config)
    pretrained = dict(type='Pretrained', checkpoint='http://127.0.0.1:9/backbone.pth')
    cfg.model.backbone.init_cfg = [pretrained] if several else pretrained
    with pytest.raises(AssertionError, match='the network was asked'):
        MODELS.build(cfg.model).init_weights()
    model = load_model(cfg, weights, device='cpu')
    model.init_weights()
    assert 'Pretrained' in str(cfg.model.backbone.init_cfg)  # the caller's config stays
    cfg.model.backbone.init_cfg, cfg.model.pretrained = None, pretrained['checkpoint']
    load_model(cfg, weights, device='cpu').init_weights()


def test_a_config_in_a_checkpoint_runs_no_code(alone, tmp_path):
    made = tmp_path / 'made'
    checkpoint = torch.load(alone, weights_only=True)
    good = checkpoint['meta']['config_json']
    call = f'{{"type": "subprocess.call", "args": ["touch", "{made}"]}}'
    for old, new in (('{"type": "PixelBoxCoder"', f'{{"inner": {call}, "type": "PixelBoxCoder"'),
                     ('"model": {"type": "InstBoxSegmentor"', f'"model": {call}, "a": {{"b": 1'),
                     ('"default_scope": "mmseg"', '"default_scope": "surprise"'),
                     ('["mmseg_instbox"]', '["surprise"]')):
        assert old in good
        checkpoint['meta']['config_json'] = good.replace(old, new)
        torch.save(checkpoint, tmp_path / 'evil.pth')
        with pytest.raises(ValueError, match=r'is not data alone: cfg.* if you trust'):
            load_model(tmp_path / 'evil.pth', device='cpu')
        assert not made.exists()


def test_weights_without_numbers_are_refused(network, tiny_config, tmp_path):
    state = network.state_dict()
    key = next(iter(state))
    file = tmp_path / 'empty.pth'
    torch.save(state | {key: torch.empty(state[key].shape, device='meta')}, file)
    with pytest.raises(InstBoxError, match=r'empty\.pth has weights that cannot be loaded'):
        load_model(tiny_config, file)
