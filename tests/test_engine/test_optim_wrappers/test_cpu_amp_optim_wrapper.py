import pytest
import torch
from mmengine.config import Config

from mmseg_instbox.engine.optim_wrappers import CPUAmpOptimWrapper, use_amp


def test_amp_is_mmengines_and_of_all_processes_with_sharded_gradients():
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper')
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper'), strategy=dict(type='FSDPStrategy')))
    use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', use_fsdp=True)


def test_amp_refuses_a_wrapper_that_it_cannot_replace():
    with pytest.raises(ValueError, match='the config has ApexOptimWrapper'):
        use_amp(Config(dict(optim_wrapper=dict(type='ApexOptimWrapper'))))


def test_the_cpu_wrapper_computes_in_bfloat16_and_updates_in_float32():
    model = torch.nn.Linear(4, 2)
    wrapper = CPUAmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=1.0))
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.ones(1, 4))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().sum())
    assert model.weight.dtype == torch.float32
    # the gradient of the sum with respect to each weight is its input, 1
    torch.testing.assert_close(model.weight.detach(), before - 1)
    assert 'loss_scaler' not in wrapper.state_dict()  # so a plain run can go on from it
