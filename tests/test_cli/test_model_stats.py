"""What ``instbox info CONFIG`` measures."""
import json
import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_instbox.cli import model_stats, models

WIDE = """
_base_ = ['{base}']
model = dict(backbone=dict(base_channels=128), decode_head=dict(in_channels=1024),
             box_head=dict(in_channels=1024),
             auxiliary_head=dict(type='FCNHead', in_channels=512, in_index=2, channels=64,
                                 num_classes=3))
"""
PLAIN = """
_base_ = ['{base}']
model = dict(_delete_=True, type='EncoderDecoder',
             backbone=dict(type='FCRNResNet', depth=18, base_channels=16),
             decode_head=dict(type='FCNHead', in_channels=128, in_index=3, channels=8,
                              num_classes=3))
"""


@pytest.fixture
def configs(tiny_config, tmp_path):
    """A wide network with an auxiliary head, the tiny one, and one without a box head."""
    files = [tmp_path / 'wide.py', tiny_config, tmp_path / 'plain.py']
    files[0].write_text(WIDE.format(base=tiny_config))
    files[2].write_text(PLAIN.format(base=tiny_config))
    return files


def convolutions(model, image):
    """Multiplications with additions of all convolutions of a pass, and those of the box head."""
    counts = dict.fromkeys(('all', 'box_head'), 0)

    def count(name, conv, out):
        num = out.numel() * conv.weight[0].numel()
        counts['all'] += num
        counts['box_head'] += num * name.startswith('box_head.')

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda conv, _, out, name=name: count(name, conv, out))
    with torch.no_grad():
        getattr(model.eval(), 'forward_dense', model)(image)
    return counts


def test_figures_are_those_of_the_models(succeed, configs, tmp_path, capfd):
    out = tmp_path / 'stats.json'
    printed = succeed('info', *configs[:2], '--shape', 64, 96, '--out', out).output
    assert 'One image of 64 x 96 pixels' in printed
    of_processes = capfd.readouterr()
    assert 'OneDL' not in of_processes.out  # a notice of mmseg's import
    assert 'Warning' not in of_processes.err
    wide, tiny = rows = json.loads(out.read_text())['rows']
    for row, file in zip(rows, configs, strict=False):
        model = MODELS.build(Config.fromfile(file).model)
        parts = [part for name, part in model.named_children() if name != 'auxiliary_head']
        assert row['parameters'] == sum(p.numel() for part in parts for p in part.parameters())
        assert row['box_head']['parameters'] == sum(
            p.numel() for p in model.box_head.parameters())
        counts = convolutions(model, torch.randn(1, 3, 64, 96))
        # normalisation and resizing come on top, but little
        assert counts['all'] < row['flops'] < 1.05 * counts['all']
        assert counts['box_head'] <= row['box_head']['flops'] < 1.05 * counts['box_head']
        assert row['memory'] > 4 * row['parameters']
        assert f'{row["box_head"]["flops"] / row["flops"]:.1%}' in printed
        assert f'{row["parameters"] / 1e6:.2f} M' in printed
    # a model's memory is its own: the small one after the large one
    assert tiny['memory'] < wide['memory'] / 3
    assert tiny['not_counted']['aten::max_pool2d'] == 1


def test_a_model_without_a_box_head(configs):
    row = model_stats.measure(models.read_config(str(configs[2])), (64, 96))
    model = MODELS.build(Config.fromfile(configs[2]).model)
    counts = convolutions(model, torch.randn(1, 3, 64, 96))
    assert row['box_head'] is None
    assert counts['all'] < row['flops'] < 1.05 * counts['all']
    assert models.format_rows([dict(row, config='plain.py')]).splitlines()[3].count(' - ') == 2


def test_only_configs_that_name_mmdet_wait_for_it(monkeypatch, tiny_config):
    asked = []
    monkeypatch.setattr(models, 'load_package', lambda *_, mask_heads: asked.append(mask_heads))
    monkeypatch.setattr(model_stats, 'measure', lambda *_: {})
    monkeypatch.setattr(torch, 'set_num_threads', lambda _: None)
    for config in (tiny_config, 'mmseg::maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py'):
        assert models.measure_model(str(config), (64, 64)) == dict(config=str(config))
    assert asked == [False, True]


def test_nothing_needless_is_imported(repo, tiny_config):
    code = f"""
import sys
from mmseg_instbox.cli.models import measure_model
measure_model({str(tiny_config)!r}, (64, 64))
needless = {{'mmdet.models', 'matplotlib', 'pandas'}} & set(sys.modules)
assert not needless, needless
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(repo)))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name, message', [
    ('missing.py', "There is no config file 'missing.py'"),
    ('mmseg::fcn/missing.py', 'fcn/missing.py" does not exist'),
    ('empty.py', 'empty.py has no model'),
    ('instbox_fcrn-r50', 'instbox_fcrn-r50-d8'),
])
def test_mistakes_are_answered_with_one_sentence(monkeypatch, tmp_path, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty.py').write_text('')
    with pytest.raises((ValueError, OSError), match=message):
        model_stats.build_model(models.read_config(name))


def test_a_config_of_mmseg_is_found_by_its_name():
    model = model_stats.build_model(
        models.read_config('mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024.py'))
    assert not model.training and not model.with_auxiliary_head
    with torch.no_grad():
        assert model(torch.randn(1, 3, 64, 64)).shape == (1, 19, 8, 8)
