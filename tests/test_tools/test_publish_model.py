import hashlib
import json
import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from mmseg.apis import inference_model

from mmseg_instbox.apis import load_model, read_checkpoint
from mmseg_instbox.engine.hooks.plain_checkpoint_hook import not_plain


@pytest.fixture(scope='module')
def publish(run_main) -> Callable[..., str]:
    """A function that runs the tool and returns what it prints."""
    return partial(run_main, 'model_converters/publish_model.py')


@pytest.fixture(scope='module')
def published(publish, trained, tmp_path_factory):
    """What the tool prints and the half-precision file that it writes, with notes."""
    folder = tmp_path_factory.mktemp('published')
    (folder / 'metrics.json').write_text('{"mIoU": 0.5}')
    (folder / 'card.md').write_text('# A tiny model\n')
    printed = publish(trained / 'iter_2.pth', folder / 'new' / 'tiny.pth', '--half', '--figures',
                      folder / 'metrics.json', '--card', folder / 'card.md')
    return printed, folder / 'new' / 'tiny.pth'


def test_size_and_hash_are_those_of_the_file(published, trained):
    output, file = published
    size, digest = output.splitlines()[-1].removeprefix(f'{file}: ').split(' MB, SHA-256 ')
    content = file.read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    assert float(size) == round(len(content) / 1e6, 2)
    assert len(content) < (trained / 'iter_2.pth').stat().st_size / 4


def test_nothing_of_the_run_is_left(published, trained):
    checkpoint = read_checkpoint(published[1])
    assert checkpoint.keys() == {'meta', 'state_dict'} and list(not_plain(checkpoint)) == []
    assert checkpoint['meta'].keys() == {
        'epoch', 'iter', 'seed', 'mmengine_version', 'config_json', 'dataset_meta', 'figures',
        'card'}
    assert checkpoint['meta']['figures'] == dict(mIoU=0.5)
    assert checkpoint['meta']['card'] == '# A tiny model\n'
    assert not {'work_dir', 'load_from', 'resume'} & json.loads(
        checkpoint['meta']['config_json']).keys()
    floats = {tensor.dtype for tensor in checkpoint['state_dict'].values()} - {torch.int64}
    assert floats == {torch.float16}


def test_the_file_alone_predicts_what_the_training_predicted(published, trained, tiny_voc):
    image = str(tiny_voc / 'JPEGImages' / '005.jpg')
    before, after = (load_model(file, device='cpu', cfg_options={'model.test_cfg.keep_boxes': True})
                     for file in (trained / 'iter_2.pth', published[1]))
    assert before.dataset_meta == after.dataset_meta
    expected, result = inference_model(before, image), inference_model(after, image)
    torch.testing.assert_close(
        result.pred_probs.data, expected.pred_probs.data, rtol=0, atol=2e-3)
    torch.testing.assert_close(
        result.pred_boxes.data, expected.pred_boxes.data, rtol=5e-3, atol=0.5)
    assert not torch.equal(result.pred_boxes.data, expected.pred_boxes.data)  # it was rounded


def test_what_half_precision_cannot_hold_stays(publish, trained, tiny_config, tmp_path):
    checkpoint = read_checkpoint(trained / 'iter_2.pth')
    name = next(key for key in checkpoint['state_dict'] if key.endswith('running_var'))
    checkpoint['state_dict'][name][0] = 1e6
    del checkpoint['meta']['config_json']
    torch.save(checkpoint, tmp_path / 'large.pth')
    printed = publish(tmp_path / 'large.pth', tmp_path / 'out.pth', '--half', '--config',
                      tiny_config)
    assert '1 tensor(s) stay in single precision' in printed
    state = read_checkpoint(tmp_path / 'out.pth')['state_dict']
    assert state[name].dtype == torch.float32 and state[name][0] == 1e6


@pytest.mark.parametrize('arguments, answer', [
    (['{file}', '{out}'], 'carries no config as JSON: give --config'),
    (['{file}.gone', '{out}', '--config', '{config}'], 'There is no checkpoint'),
    (['{file}', '{out}', '--config', '{config}'], 'is of another architecture'),
    (['{trained}', '{out}', '--figures', '{config}'], 'tiny.py is no JSON'),
])
def test_a_mistake_is_answered_with_one_sentence_and_no_file(publish, trained, tiny_config,
                                                            tmp_path, arguments, answer):
    torch.save(dict(state_dict=dict(a=torch.ones(1))), tmp_path / 'a.pth')
    names = dict(file=tmp_path / 'a.pth', out=tmp_path / 'out.pth', config=tiny_config,
                 trained=trained / 'iter_2.pth')
    with pytest.raises(SystemExit, match=rf'^publish_model\.py: .*{answer}'):
        publish(*(argument.format(**names) for argument in arguments))
    assert not (tmp_path / 'out.pth').exists()


def test_background_odds_shift_the_logit_of_the_background_alone(publish, trained, tmp_path):
    for name, odds in (('plain.pth', 1), ('shifted.pth', 0.25)):
        publish(trained / 'iter_2.pth', tmp_path / name, '--background-odds', odds)
    models = [load_model(tmp_path / name, device='cpu') for name in ('plain.pth', 'shifted.pth')]
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        plain, shifted = (model.decode_head(model.backbone(image)) for model in models)
    shift = (shifted - plain).mean(dim=(0, 2, 3))
    expected = torch.tensor([math.log(0.25)] + [0.] * (len(shift) - 1))
    torch.testing.assert_close(shift, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('odds', [0, -1])
def test_background_odds_must_be_positive(publish, trained, tmp_path, odds):
    with pytest.raises(SystemExit, match='factor above 0'):
        publish(trained / 'iter_2.pth', tmp_path / 'out.pth', '--background-odds', odds)
    assert not (tmp_path / 'out.pth').exists()


def test_the_weights_of_several_checkpoints_are_averaged(publish, trained, tmp_path):
    changed = torch.load(trained / 'iter_2.pth', weights_only=True)
    for tensor in changed['state_dict'].values():
        if tensor.is_floating_point():
            tensor += 3
    torch.save(changed, tmp_path / 'changed.pth')
    publish(trained / 'iter_2.pth', tmp_path / 'out.pth', '--average', tmp_path / 'changed.pth',
            tmp_path / 'changed.pth')
    mean, before = (read_checkpoint(str(file))['state_dict']
                    for file in (tmp_path / 'out.pth', trained / 'iter_2.pth'))
    for name, tensor in before.items():
        torch.testing.assert_close(mean[name], tensor + 2 * tensor.is_floating_point())
