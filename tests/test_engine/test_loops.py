import itertools
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from torch.utils.data import DataLoader

from mmseg_instbox.engine import loops
from mmseg_instbox.errors import InvalidInputError


@pytest.fixture
def train(monkeypatch):
    """A function that trains nothing, on a clock: iterations take ``tick`` seconds, validations 2.

    It gives the learning rates, the iterations of the validations and the time at the end.
    """
    clock = SimpleNamespace(now=0.)
    monkeypatch.setattr(loops, 'monotonic', lambda: clock.now)

    def run(tick, hub=None, iteration=0, first=2, **settings):
        rates, validated, start = [], [], clock.now
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)

        def step(*_, **__):
            clock.now += tick
            rates.append(optimizer.param_groups[0]['lr'])

        def validate():
            clock.now += 2 if validated else first
            validated.append(loop.iter)

        runner = MagicMock(
            model=SimpleNamespace(train=lambda: None, train_step=step), distributed=False,
            optim_wrapper=OptimWrapper(optimizer), val_loop=SimpleNamespace(run=validate),
            message_hub=hub or MessageHub(f'loop{id(rates)}'))
        data = DataLoader(range(1), sampler=itertools.repeat(0))
        loop = loops.BudgetTrainLoop(runner, data, **settings)
        loop._iter = iteration
        loop.run()
        return rates, validated, clock.now - start

    return run


def test_the_budget_holds_and_rates_follow_the_clock(train):
    rates, validated, seconds = train(tick=1, max_iters=10000, minutes=1, validations=4)
    assert 56 <= seconds <= 61
    assert validated[0] == 0 and validated[-1] == len(rates) and len(validated) in (5, 6)
    peak = rates.index(max(rates))
    assert rates[:peak + 1] == sorted(rates[:peak + 1]) and 0 < peak < 6
    assert rates[peak:] == sorted(rates[peak:], reverse=True) and rates[-1] < 0.1 * max(rates)


def test_validations_take_a_fifth_of_the_time_at_most(train):
    _, validated, _ = train(tick=0.1, max_iters=10000, minutes=1, validations=100)
    assert 5 <= len(validated) <= 8


@pytest.mark.parametrize('validations', range(3, 12))
def test_no_validation_comes_shortly_before_the_last_one(train, validations):
    _, validated, _ = train(tick=0.3, max_iters=10000, minutes=1, validations=validations)
    distances = [after - before for before, after in zip(validated, validated[1:], strict=False)]
    assert min(distances) > 0.2 * max(distances)


def test_a_first_validation_that_is_slow_leaves_time_to_train(train):
    rates, _, seconds = train(tick=1, first=20, max_iters=10000, minutes=1)
    assert len(rates) > 20 and seconds <= 61


def test_few_iterations_end_before_the_time(train):
    rates, validated, seconds = train(tick=0.1, max_iters=20, minutes=10)
    assert len(rates) == validated[-1] == 20 and seconds < 60


def test_without_minutes_it_repeats(train):
    rates, validated, _ = train(tick=1, max_iters=8, validations=4, warmup=0.)
    assert rates == train(tick=7, max_iters=8, validations=4, warmup=0.)[0]
    assert validated == [0, 2, 4, 6, 8]
    assert rates[4] == pytest.approx(rates[0] * 0.5**0.9)


def test_a_resumed_run_has_the_time_that_it_had_left(train):
    hub = MessageHub('resumed')
    hub.update_info('trained_seconds', 40.)
    rates, validated, seconds = train(tick=1, hub=hub, iteration=30, max_iters=10000, minutes=1,
                                      validations=4)
    assert seconds <= 21 and 0 not in validated and rates[0] < 0.5


def test_processes_follow_the_clock_of_the_first(train, monkeypatch):
    """A slower one ends, validates and learns at the same iterations."""
    settings, sent = dict(max_iters=10000, minutes=1, validations=4), []
    monkeypatch.setattr(loops, 'broadcast', lambda elapsed: sent.append(elapsed.clone()))
    first = train(tick=1, **settings)
    received = iter(sent)
    monkeypatch.setattr(loops, 'broadcast', lambda elapsed: elapsed.copy_(next(received)))
    assert train(tick=1.7, **settings)[:2] == first[:2]
    assert next(received, None) is None


def test_no_time_at_all_is_refused(train):
    with pytest.raises(InvalidInputError, match='minutes=0'):
        train(tick=1, max_iters=8, minutes=0)
