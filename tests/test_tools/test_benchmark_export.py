"""The benchmark of exported models: it runs at the smallest size, and compares masks rightly."""
import json
import sys
from types import SimpleNamespace

import pytest
import torch

from mmseg_instbox.engine import build_network, load_config


@pytest.fixture
def bench(benchmarks):
    """The script as a module."""
    import export
    return export


@pytest.fixture
def checkpoint(tiny_config, tmp_path):
    torch.manual_seed(0)
    network = build_network(load_config(str(tiny_config)))
    torch.nn.init.normal_(network.decode_head.conv_seg.weight, std=1)
    torch.save(dict(state_dict=network.state_dict(), meta={}), tmp_path / 'random.pth')
    return tmp_path / 'random.pth'


@pytest.mark.parametrize('fast', [True, False])
def test_all_kinds_are_measured(bench, tiny_config, checkpoint, tmp_path, monkeypatch, fast):
    for name in ('onnx', 'onnxruntime', 'openvino'):
        pytest.importorskip(name)
    monkeypatch.setattr(bench.common, 'run_script', lambda *_: '')
    monkeypatch.setattr(bench, 'has_fast_bfloat16', lambda _: fast)
    out = tmp_path / 'figures.json'
    monkeypatch.setattr(sys, 'argv', [
        'export.py', '--model', str(tiny_config), '--weights', str(checkpoint), '--quick',
        '--out', str(out)])
    bench.main()
    content = json.loads(out.read_text())
    rows = {row['model']: row for row in content['rows']}
    assert set(rows) == {'eager', bench.PLAIN, *bench.KINDS, *[bench.BFLOAT16] * fast}
    assert all(row['network_ms'] > 0 and row['whole_ms'] > 0 for row in rows.values())
    for name in ('onnx', 'openvino'):
        assert rows[name]['mean_mask_iou'] > 0.999
        assert all(rows[name][key] == pytest.approx(rows['eager'][key], abs=1e-3)
                   for key in bench.FIGURES)
    starts, = content['tables'].values()
    assert all(row['first_result_s'] > 0 and row['file_mb'] > 0 for row in starts)
    assert [each['ratio'] for each in content['figures'][:2]] == [
        1 / rows[name]['whole_times_faster_than_plain'] for name in ('eager', 'onnx')]


def test_masks_are_compared_with_the_likest_of_their_category(bench):
    def sample(*instances):
        masks = torch.zeros(len(instances), 1, 8, dtype=torch.bool)
        for mask, (_, begin, end) in zip(masks, instances, strict=True):
            mask[0, begin:end] = True
        labels = torch.tensor([label for label, _, _ in instances])
        return SimpleNamespace(pred_instances=SimpleNamespace(masks=masks, labels=labels))

    mine, its = sample((0, 0, 4), (1, 4, 8)), sample((1, 4, 7), (0, 0, 4), (2, 4, 8))
    assert bench.agreement([mine], [its]) == dict(
        mean_mask_iou=pytest.approx((1 + 0.75 + 0.75 + 1 + 0) / 5), least_mask_iou=0)
    assert bench.agreement([mine], [mine])['least_mask_iou'] == 1
