import pytest
import torch
from mmengine.config import Config

from mmseg_instbox.engine.optim_wrappers import CPUAmpOptimWrapper, has_fast_bfloat16, use_amp


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


@pytest.mark.parametrize('capabilities, fast', [
    (dict(avx512_bf16=True, amx_bf16=False), True),
    (dict(avx512_bf16=False, amx_bf16=True), True),
    (dict(avx2=True, avx512_bf16=False), False),
    ({}, False),
])
def test_fast_bfloat16_of_a_processor(monkeypatch, capabilities, fast):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities, raising=False)
    assert has_fast_bfloat16() is fast


def test_fast_bfloat16_of_a_gpu_and_of_an_old_pytorch(monkeypatch):
    monkeypatch.delattr(torch.cpu, 'get_capabilities', raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert has_fast_bfloat16() is False
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation=True: True)
    assert has_fast_bfloat16() is True
    assert has_fast_bfloat16('cpu') is False
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported',
                        lambda including_emulation=True: including_emulation)
    assert has_fast_bfloat16() is False
