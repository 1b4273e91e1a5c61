"""Two processes with half of the batch each train as one process with the whole batch."""
import pytest
import torch
from programs import Program

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


samplers = dict(
    image=dict(type='BootstrapPixelSampler', thresh=0.3, min_kept=20, min_loss=0.5),
    batch=dict(type='BootstrapPixelSampler', thresh=0.3, min_kept=0, min_loss=0.5, scope='batch'))
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
alone = {name: gradient(cfg, 0, 1) for name, cfg in samplers.items()}
dist.init_process_group('gloo', init_method='file://' + store, rank=rank, world_size=2)
together = {name: gradient(cfg, rank, 2) for name, cfg in samplers.items()}
dist.barrier()
dist.destroy_process_group()
if rank == 0:
    torch.save([alone, together], out)
'''


@pytest.fixture(scope='module')
def gradients(tmp_path_factory) -> list[dict[str, torch.Tensor]]:
    """Gradients of one process with the whole batch, and of two with a half each."""
    folder = tmp_path_factory.mktemp('workers')
    script, out = folder / 'worker.py', folder / 'gradients.pth'
    script.write_text(WORKER)
    processes = [Program(script, folder / f'{rank}.txt', rank, folder / 'store', out,
                         GLOO_SOCKET_IFNAME='lo') for rank in range(2)]
    for process in processes:
        process.succeeds()
    return torch.load(out, weights_only=True)


@pytest.mark.parametrize('scope', ['image', 'batch'])
def test_two_processes_have_the_gradient_of_one(gradients, scope):
    one, two = (gradient[scope] for gradient in gradients)
    assert one.abs().max() > 1e-3
    assert torch.allclose(one, two, rtol=1e-4, atol=1e-6)


def test_the_scopes_differ_on_this_batch(gradients):
    assert not torch.allclose(gradients[0]['image'], gradients[0]['batch'], rtol=1e-2)
