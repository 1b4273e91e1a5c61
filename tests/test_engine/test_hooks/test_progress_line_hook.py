from types import SimpleNamespace

import torch

from mmseg_instbox.engine.hooks import ProgressLineHook


def test_without_a_terminal_each_validation_is_a_line(capsys):
    runner = SimpleNamespace(iter=0, max_iters=8, train_loop=SimpleNamespace(progress=0.))
    hook = ProgressLineHook('AP')
    hook.after_val_epoch(runner, dict(AP=0.9))  # a validation by hand
    hook.before_train(runner)
    hook.after_val_epoch(runner, dict(AP=0.1))
    for loss in (2., float('nan'), 2.):
        hook.after_train_iter(runner, 0, outputs=dict(loss=torch.tensor(loss, requires_grad=True)))
    runner.iter, runner.train_loop.progress = 4, 0.5
    hook.after_val_epoch(runner, dict(AP=0.3))
    hook.after_val_epoch(runner, dict(AP=0.2))
    hook.after_train(runner)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [' '.join(line) for line in lines] == [
        '0% iteration 0 AP 0.100 (best 0.100)',
        '50% iteration 4 loss 2.000 AP 0.300 (best 0.300)',
        '50% iteration 4 loss 2.000 AP 0.200 (best 0.300)'
    ]


def test_stopping_twice_or_before_the_start_does_no_harm():
    hook = ProgressLineHook()
    hook.stop()
    hook.before_train(None)
    hook.stop()
    hook.stop()
