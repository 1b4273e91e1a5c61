"""Exported models that are broken, foreign or hostile end in a sentence, and run no code."""
import hashlib
import json

import numpy as np
import pytest

from mmseg_instbox.deploy import ExportedModel
from mmseg_instbox.deploy.export_settings import ExportSettings
from mmseg_instbox.deploy.sessions import add_checksum, check_checksum
from mmseg_instbox.errors import BrokenExportError, InstBoxError

CHECKSUM_SIZE = 84  # bytes


def test_a_checksum_is_the_files_last_property():
    checked = add_checksum(b'graph', '.onnx')
    assert len(checked) == 5 + CHECKSUM_SIZE and checked.startswith(b'graph')
    assert len(check_checksum(checked, '.onnx', 'a file')) == 64
    assert check_checksum(add_checksum(b'<net/>', '.xml', b'weights'), '.xml', 'a file', b'weights')
    with pytest.raises(BrokenExportError, match='has changed'):
        check_checksum(add_checksum(b'<net/>', '.xml', b'weights'), '.xml', 'a file', b'others')


def test_the_checksum_is_an_entry_of_onnx():
    onnx = pytest.importorskip('onnx')
    model = onnx.ModelProto()
    model.ParseFromString(add_checksum(b'', '.onnx'))
    entry, = model.metadata_props
    assert (entry.key, entry.value) == ('instbox_sha256', hashlib.sha256(b'').hexdigest())


@pytest.mark.parametrize('seed', range(12))
def test_no_changed_byte_and_no_cut_goes_unseen(file, tmp_path, seed):
    random = np.random.default_rng(seed)
    content = bytearray(file.read_bytes())
    place = int(random.integers(len(content)))
    if seed % 2:
        content = content[:place]
    else:
        content[place] ^= 1 << int(random.integers(8))
    broken = tmp_path / file.name
    broken.write_bytes(content)
    if file.suffix == '.xml':
        broken.with_suffix('.bin').write_bytes(file.with_suffix('.bin').read_bytes())
    with pytest.raises(BrokenExportError, match='export the model again'):
        ExportedModel(broken)


def test_weights_of_another_model_are_seen(xml_file, tmp_path):
    (tmp_path / 'model.xml').write_bytes(xml_file.read_bytes())
    (tmp_path / 'model.bin').write_bytes(xml_file.with_suffix('.bin').read_bytes()[:-4] + b'1234')
    with pytest.raises(BrokenExportError, match='has changed'):
        ExportedModel(tmp_path / 'model.xml')


@pytest.mark.parametrize('content', [b'', b'no model', b'\x00' * 500])
@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_what_is_no_model_is_refused_with_and_without_checksum(content, suffix, tmp_path):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('openvino')
    path = tmp_path / f'model{suffix}'
    path.with_suffix('.bin').write_bytes(b'')
    for each in (content, add_checksum(content, suffix)):
        path.write_bytes(each)
        with pytest.raises(BrokenExportError):
            ExportedModel(path)


def with_checksum(file, change, tmp_path):
    """The ONNX file after a change of its message, with a valid checksum."""
    onnx = pytest.importorskip('onnx')
    model = onnx.load_from_string(file.read_bytes()[:-CHECKSUM_SIZE])
    change(model)
    path = tmp_path / 'model.onnx'
    path.write_bytes(add_checksum(model.SerializeToString(), '.onnx'))
    return path


def test_a_model_cannot_read_files_beside_it(onnx_file, tmp_path, monkeypatch):
    (tmp_path / 'secret').write_bytes(b'\x01' * 4096)
    monkeypatch.chdir(tmp_path)

    def refer(model):
        weights = max(model.graph.initializer, key=lambda each: len(each.raw_data))
        weights.ClearField('raw_data')
        weights.data_location = 1
        entry = weights.external_data.add()
        entry.key, entry.value = 'location', 'secret'

    with pytest.raises(BrokenExportError, match='cannot be run'):
        ExportedModel(with_checksum(onnx_file, refer, tmp_path))


def test_operators_of_strangers_are_refused(onnx_file, tmp_path):
    def replace(model):
        model.graph.node[0].op_type, model.graph.node[0].domain = 'PyOp', 'a.stranger'

    with pytest.raises(BrokenExportError, match='cannot be run'):
        ExportedModel(with_checksum(onnx_file, replace, tmp_path))


def test_a_graph_with_other_outputs_is_refused(onnx_file, tmp_path, noise):
    def rename(model):
        model.graph.output[0].name = model.graph.node[0].output[0]

    def fewer(model):
        entry, = (each for each in model.metadata_props if each.key == 'instbox')
        settings = json.loads(entry.value)
        for key in ('classes', 'palette'):
            settings['dataset_meta'][key].append(settings['dataset_meta'][key][-1])
        entry.value = json.dumps(settings)

    for change, reason in ((rename, 'cannot be run'), (fewer, r'expected \(1, 4, h, w\)')):
        with pytest.raises(BrokenExportError, match=reason):
            ExportedModel(with_checksum(onnx_file, change, tmp_path))(noise)


@pytest.mark.parametrize('name, value', [
    ('thing_ids', [0, 99]), ('thing_ids', []), ('thing_ids', ['1']), ('thing_ids', [True]),
    ('mean', [1, 2]), ('mean', [1, 2, float('nan')]), ('std', [1, 0, 1]), ('bgr_to_rgb', 'yes'),
    ('padding', dict(size_divisor=0, value=0)), ('padding', {}), ('padding', None),
    ('padding', dict(size=[10**9, 4], value=0)), ('resize', dict(scale=[0, 5], keep_ratio=True)),
    ('resize', 7), ('test_cfg', dict(mode='other')),
    ('test_cfg', dict(mode='slide', crop_size='a')), ('test_cfg', dict(custom_imports=['os'])),
    ('grouper', dict(type='os.system')),
    ('grouper', dict(type='PixelBoxGrouper', bin_size='x')), ('grouper', []),
    ('dataset_meta', {}), ('dataset_meta', dict(classes=['a'], thing_classes=[], palette=[])),
    ('dataset_meta', None), ('surplus', 1)])
def test_settings_that_cannot_be_are_refused(onnx_file, tmp_path, name, value):
    def change(model):
        entry, = (each for each in model.metadata_props if each.key == 'instbox')
        entry.value = json.dumps(json.loads(entry.value) | {name: value})

    with pytest.raises(InstBoxError, match='model.onnx: '):
        ExportedModel(with_checksum(onnx_file, change, tmp_path))


@pytest.mark.parametrize('text', ['', '[]', '{}', 'null', '{"version": 99}', '[' * 100_000])
def test_settings_that_are_none_are_refused(text):
    with pytest.raises(BrokenExportError, match='a file: .*export the model again'):
        ExportSettings.from_json(text, 'a file')
