import copy
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import ConcatDataset, DataLoader

from mmseg_instbox.engine.samplers import SeededDefaultSampler, SeededInfiniteSampler
from mmseg_instbox.engine.samplers.seeded_samplers import SeededIndex, derived_seed, seeded


class Drawing:
    """A data set whose samples are their index and one number of each random generator."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), float(torch.rand(()))


def batches(sampler, workers=0, count=10, size=3):
    """The samples of the first ``count`` batches."""
    loader = DataLoader(sampler.dataset, size, sampler=sampler, num_workers=workers,
                        collate_fn=list)
    return [batch for batch, _ in zip(loader, range(count), strict=False)]


def draw():
    return random.random(), np.random.rand(), float(torch.rand(()))


def test_a_seed_depends_on_each_number_and_on_their_order():
    seeds = {derived_seed(*numbers) for numbers in
             [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 1, 0), (1, 2, 0), (0, 1, 2)]}
    assert len(seeds) == 7 and all(0 <= seed < 2**32 for seed in seeds)


def test_seeded_draws_the_same_and_leaves_the_states_of_others_alone():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    undisturbed = draw(), draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    first = draw()
    with seeded(7):
        once = draw()
    with pytest.raises(KeyError), seeded(7):
        again = draw()
        raise KeyError
    assert once == again and once not in undisturbed
    assert (first, draw()) == undisturbed


@pytest.mark.parametrize('send', [copy.deepcopy, lambda index: pickle.loads(pickle.dumps(index))])
def test_an_index_keeps_its_seed_on_the_way_to_a_worker(send):
    index = SeededIndex(3, 11, 2)
    assert send(index) == 3 and send(index).seed == index.seed == derived_seed(11, 2, 3)


@pytest.mark.parametrize('ours, theirs', [(SeededInfiniteSampler, InfiniteSampler),
                                          (SeededDefaultSampler, DefaultSampler)])
def test_the_order_is_that_of_mmengine(ours, theirs):
    indices = [list(zip(sampler(Drawing(), seed=4), range(12), strict=False))
               for sampler in (ours, theirs)]
    assert indices[0] == indices[1]


def test_samples_do_not_depend_on_workers_and_state():
    alone = batches(SeededInfiniteSampler(Drawing(), seed=4))
    torch.rand(3), random.random(), np.random.rand()
    assert batches(SeededInfiniteSampler(Drawing(), seed=4), workers=2) == alone
    assert batches(SeededInfiniteSampler(Drawing(), seed=5)) != alone


def test_each_pass_and_each_image_draws_anew():
    samples = sum(batches(SeededInfiniteSampler(Drawing(), seed=4)), [])  # six passes
    assert [samples.count(sample) for sample in samples] == [1] * 30
    assert all(len({sample[1 + i] for sample in samples}) == 30 for i in range(3))


def test_a_skip_arrives_at_the_same_samples():
    sampler = SeededInfiniteSampler(Drawing(), seed=4)
    sampler.skip(4 * 3)
    straight = batches(SeededInfiniteSampler(Drawing(), seed=4))
    assert batches(sampler, workers=2, count=6) == straight[4:]


def test_processes_share_the_samples_of_one(monkeypatch):
    parts = []
    for rank in range(2):
        sampler = SeededInfiniteSampler(Drawing(), seed=4)
        sampler.rank, sampler.world_size = rank, 2  # read when the iteration begins
        parts.append(batches(sampler, size=2))
    together = [sorted(one + two) for one, two in zip(*parts, strict=True)]
    whole = batches(SeededInfiniteSampler(Drawing(), seed=4), size=4)
    assert together == [sorted(batch) for batch in whole]


def test_an_epoch_can_be_repeated_alone():
    sampler = SeededDefaultSampler(Drawing(), seed=4)
    epochs = []
    for epoch in (0, 1, 1):
        sampler.set_epoch(epoch)
        epochs.append(batches(sampler))
    assert epochs[0] != epochs[1] == epochs[2]


def test_a_wrapped_data_set_seeds_its_parts():
    whole = ConcatDataset([Drawing(), Drawing()])
    sampler = SeededDefaultSampler(whole, shuffle=False, seed=4)
    first, second = batches(sampler), batches(sampler, workers=2)
    assert first == second
    assert len({sample[1:] for batch in first for sample in batch}) == 10


def test_a_copy_for_a_spawned_worker_seeds_its_own_samples():
    dataset = Drawing()
    indices = list(SeededDefaultSampler(dataset, seed=4))
    copied = pickle.loads(pickle.dumps(dataset))
    assert copied.__getitems__.args == (copied, )
    assert copied.__getitems__(indices) == dataset.__getitems__(indices)


def test_plain_indices_draw_as_ever():
    dataset = Drawing()
    SeededDefaultSampler(dataset, seed=4)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    drawn = dataset.__getitems__([1, 1])
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    assert drawn == [(1, *draw()), (1, *draw())]


def test_our_configs_can_be_resumed(repo):
    base = repo / 'configs' / '_base_'
    samplers = {Config.fromfile(file).train_dataloader.sampler.type
                for file in (base / 'datasets').glob('*.py')}
    hooks = {Config.fromfile(file).default_hooks.sampler_seed.type
             for file in (base / 'schedules').glob('*.py')}
    assert (samplers, hooks) == ({'SeededInfiniteSampler'}, {'ResumableSeedHook'})
