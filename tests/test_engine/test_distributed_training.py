"""Two processes train as one does on the same global batch."""
import json

import pytest
import torch
from recorded_runs import FROZEN, load, recorded_losses

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='compares processes on the CPU')


@pytest.fixture(scope='module')
def runs(make_config, train, launch, tmp_path_factory):
    """Work directories of one process with four images, of two with two each; what these print."""
    config = make_config(FROZEN)
    one, two = (tmp_path_factory.mktemp(name) for name in ('one', 'two'))
    train(config, one)
    printed = launch('train.py', config, '--launcher', 'pytorch', '--work-dir', two,
                     '--cfg-options', 'train_dataloader.batch_size=2', processes=2)
    return one, two, printed


def test_two_processes_train_on_a_cpu(runs):
    _, two, printed = runs
    assert 'SyncBN of the model become BN' in printed
    assert 'MMDistributedDataParallel' in (two / 'child.py').read_text()
    assert load(two / 'iter_6.pth')['meta']['iter'] == 6
    log = next(two.glob('*/vis_data/scalars.json')).read_text().splitlines()
    assert any('"APr_0.5"' in line and '"mIoU"' in line for line in log)


def test_the_losses_are_the_same(runs):
    whole = recorded_losses(runs[0])
    parts = [recorded_losses(runs[1], rank) for rank in range(2)]
    assert len(whole) == 6 and whole[-1]['loss'] < 0.9 * whole[0]['loss']
    for line, *shares in zip(whole, *parts, strict=True):
        assert sorted(line['images']) == sorted(shares[0]['images'] + shares[1]['images'])
        assert shares[0]['loss'] != pytest.approx(shares[1]['loss'], rel=1e-3)
        for key in ('loss', 'decode.loss_ce', 'box.loss_box'):
            mean = sum(share[key] for share in shares) / 2
            assert mean == pytest.approx(line[key], rel=1e-4), key


def test_the_weights_are_the_same(runs):
    one, two = (load(run / 'iter_6.pth')['state_dict'] for run in runs[:2])
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-3, atol=1e-5, msg=name)


def test_the_figures_are_the_same(runs):
    one, two = (json.loads((run / 'figures.json').read_text()) for run in runs[:2])
    assert {'mIoU', 'APr_0.5', 'APr_vol'} <= set(one)
    assert two == pytest.approx(one, abs=1e-3)  # a pixel of these four pictures is 1e-4
