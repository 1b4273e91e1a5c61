"""The examples of docs/deployment.md run on a small random model, and its commands parse."""
import re
import shutil
from pathlib import Path

import click
import pytest
import torch
from torch import nn

from mmseg_instbox.cli.main import cli
from mmseg_instbox.deploy import export_model
from mmseg_instbox.engine import load_config, load_model

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'deployment.md'


def blocks(language: str) -> list[str]:
    return re.findall(rf'```{language}\n(.*?)```', PAGE.read_text(), re.DOTALL)


def commands() -> list[list[str]]:
    lines = '\n'.join(blocks('bash')).splitlines()
    return [line.partition('#')[0].split()[1:] for line in lines if line.startswith('instbox ')]


@pytest.fixture
def place(tiny_config, tiny_voc, tmp_path, monkeypatch) -> Path:
    """A directory with the files that the examples name."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    torch.manual_seed(0)
    network = load_model(load_config(str(tiny_config)), device='cpu')
    nn.init.normal_(network.decode_head.conv_seg.weight, std=1)
    export_model(network, tmp_path / 'model.onnx')
    (tmp_path / 'photos').mkdir()
    for number, file in enumerate(sorted((tiny_voc / 'JPEGImages').iterdir())[:5]):
        shutil.copy(file, tmp_path / 'photos' / f'{number}.jpg')
    shutil.copy(tmp_path / 'photos' / '0.jpg', tmp_path / 'photo.jpg')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_examples_in_python_run(place):
    with_it, without_it = blocks('python')
    first, second = {}, {}
    exec(with_it, first)
    exec(without_it, second)
    assert first['found']['masks'] == second['found']['masks']
    assert second['prediction'].name == '4' and not second['model'].failures


@pytest.mark.parametrize('words', commands(), ids=' '.join)
def test_commands_parse(words, monkeypatch):
    monkeypatch.setattr(click.Path, 'convert', lambda self, value, param, ctx: value)
    command = cli.get_command(None, words[0])
    assert command is not None
    command.make_context(words[0], words[1:])


def test_links_lead_somewhere():
    for target in re.findall(r'\]\(([^)#]+)\)', PAGE.read_text()):
        if target != 'benchmarks.md':  # is made from the figures
            assert (PAGE.parent / target).exists(), target
