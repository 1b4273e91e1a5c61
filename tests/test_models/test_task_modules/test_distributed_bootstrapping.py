"""Two processes with half of the batch each train as one process with the whole batch."""
import os
import subprocess
import sys

import pytest
import torch

WORKER = '''
import sys
import torch
import torch.distributed as dist
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn.parallel import DistributedDataParallel
from mmseg_instbox.models import FCRNHead


class Training(torch.nn.Module):
    """A head whose forward is its loss, so that it can be wrapped."""

    def __init__(self, sampler):
        super().__init__()
        torch.manual_seed(0)
        self.head = FCRNHead(in_channels=4, channels=4, num_classes=3, classifier_dilation=1,
                             dropout_ratio=0, in_index=0, sampler=sampler)
        torch.nn.init.normal_(self.head.conv_seg.weight)

    def forward(self, feats, labels):
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
        losses = self.head.loss([feats], samples, None)
        return losses['loss_ce'] + box_loss(self.head, feats, labels)


def box_loss(head, feats, labels):
    """A regression on the pixels of category 1, bootstrapped by loss value."""
    loss = (head([feats])[:, 0] - 1) ** 2
    return (loss * head.sampler.sample_loss(loss.detach(), labels[:, 0] == 1)).mean()


def gradient(sampler, rank, world):
    model = Training(sampler)
    wrapped = DistributedDataParallel(model) if world > 1 else model
    generator = torch.Generator().manual_seed(1)
    feats = torch.randn(4, 4, 8, 9, generator=generator)
    labels = torch.randint(0, 3, (4, 1, 8, 9), generator=generator)
    labels[0, :, :5] = 255
    labels[1] = 255
    part = slice(rank * 4 // world, (rank + 1) * 4 // world)
    wrapped(feats[part], labels[part]).backward()
    return model.head.conv_seg.weight.grad


rank, world, store, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if world > 1:
    dist.init_process_group('gloo', init_method='file://' + store, rank=rank, world_size=world)
samplers = dict(
    image=dict(type='BootstrapPixelSampler', thresh=0.3, min_kept=20, min_loss=0.5),
    batch=dict(type='BootstrapPixelSampler', thresh=0.3, min_kept=0, min_loss=0.5, scope='batch'))
if rank == 0:
    torch.save({name: gradient(cfg, rank, world) for name, cfg in samplers.items()}, out)
else:
    for cfg in samplers.values():
        gradient(cfg, rank, world)
if world > 1:
    dist.barrier()
    dist.destroy_process_group()
'''


def run_workers(script, folder, repo, world: int) -> dict[str, torch.Tensor]:
    """Runs the script in ``world`` processes and gives rank 0's gradients back."""
    env = dict(os.environ, PYTHONPATH=str(repo), OMP_NUM_THREADS='1', GLOO_SOCKET_IFNAME='lo')
    out = folder / f'gradients_{world}.pth'
    commands = [[sys.executable, script, rank, world, folder / 'store', out] for rank in range(world)]
    processes = [
        subprocess.Popen([str(part) for part in command], env=env, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    failed = [error for process, error in zip(processes, errors) if process.returncode]
    if failed:
        raise RuntimeError('\n'.join(failed))
    return torch.load(out, weights_only=True)


@pytest.fixture(scope='module')
def gradients(tmp_path_factory, repo) -> tuple[dict, dict]:
    """Gradients of one process with the whole batch, and of two with a half each."""
    folder = tmp_path_factory.mktemp('workers')
    script = folder / 'worker.py'
    script.write_text(WORKER)
    return run_workers(script, folder, repo, 1), run_workers(script, folder, repo, 2)


@pytest.mark.parametrize('scope', ['image', 'batch'])
def test_two_processes_have_the_gradient_of_one(gradients, scope):
    one, two = (gradient[scope] for gradient in gradients)
    assert one.abs().max() > 1e-3
    assert torch.allclose(one, two, rtol=1e-4, atol=1e-6)


def test_the_scopes_differ_on_this_batch(gradients):
    assert not torch.allclose(gradients[0]['image'], gradients[0]['batch'], rtol=1e-2)
