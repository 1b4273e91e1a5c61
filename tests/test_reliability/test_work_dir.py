"""Disks that are full or read-only: a sentence, and the last checkpoint stays as it was."""
import os
import re
import shutil
import subprocess

import pytest
from reliability_runs import iteration

from mmseg_instbox.engine import last_checkpoint
from mmseg_instbox.engine.training import check_work_dir
from mmseg_instbox.errors import FileAccessError


def command(*words: object) -> str | None:
    """Run a system command; what it complains about."""
    try:
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr or 'failed' if done.returncode else None


@pytest.fixture
def small_disk(tmp_path):
    """A mounted file system of its own in memory."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    problem = command('mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder)
    if problem:
        pytest.skip(f'nothing can be mounted here: {problem}')
    yield folder
    command('umount', '-l', folder)


def fill(folder, leave):
    """Fill a disk but for ``leave`` bytes."""
    state = os.statvfs(folder)
    (folder / 'filler').write_bytes(b'x' * (state.f_bavail * state.f_frsize - int(leave)))


def test_a_full_disk(make_config, start, small_disk):
    work_dir = small_disk / 'work'
    start('train.py', make_config(iters=1), '--work-dir', work_dir).succeeds()
    size = (work_dir / 'iter_1.pth').stat().st_size
    fill(small_disk, leave=1.5 * size)  # the logs of a run fit, and one more checkpoint
    config = make_config(iters=6)
    last = start('train.py', config, '--work-dir', work_dir, '--resume', '--cfg-options',
                 'default_hooks.checkpoint.max_keep_ckpts=9').fails()
    assert 'No space left on device' in last and 'what was there before is untouched' in last
    assert re.search(r'The last checkpoint is \S+iter_2\.pth', last)
    assert not list(work_dir.glob('.iter*'))  # no half a checkpoint
    assert last_checkpoint(work_dir).name == 'iter_2.pth'
    (small_disk / 'filler').unlink()
    start('train.py', config, '--work-dir', work_dir, '--resume', '--cfg-options',
          'default_hooks.checkpoint.max_keep_ckpts=9').succeeds()
    assert last_checkpoint(work_dir).name == 'iter_6.pth'


def test_a_disk_without_room_for_a_log(make_config, start, small_disk):
    work_dir = small_disk / 'work'
    start('train.py', make_config(iters=1), '--work-dir', work_dir).succeeds()
    fill(small_disk, leave=0)
    last = start('train.py', make_config(iters=2), '--work-dir', work_dir, '--resume').fails()
    assert 'No space left on device' in last
    assert iteration(work_dir) == 1


def test_a_disk_that_is_read_only(make_config, start, small_disk):
    work_dir = small_disk / 'work'
    start('train.py', make_config(iters=1), '--work-dir', work_dir).succeeds()
    assert command('mount', '-o', 'remount,ro', small_disk) is None
    for resume in ([], ['--resume']):
        last = start('train.py', make_config(iters=2), '--work-dir', work_dir, *resume).fails()
        assert f'{work_dir} cannot be written' in last and 'Read-only file system' in last
        assert '--work-dir' in last
    assert iteration(work_dir) == 1


def test_a_directory_that_becomes_read_only_while_it_is_written(make_config, start, tmp_path):
    work_dir, flag = tmp_path / 'work', tmp_path / 'flag'
    work_dir.mkdir()
    problem = command('chattr', '+i', work_dir)
    command('chattr', '-i', work_dir)
    if problem:
        pytest.skip(f'directories cannot be made immutable here: {problem}')
    lines = f"custom_hooks = [dict(type='Touch', flag='{flag}', after=2)]\n"
    training = start('train.py', make_config(iters=100_000, lines=lines), '--work-dir', work_dir)
    try:
        training.wait_for(flag.exists)
        assert command('chattr', '+i', work_dir) is None
        last = training.fails()
    finally:
        command('chattr', '-i', work_dir)
    assert 'Operation not permitted' in last and '--resume goes on from it' in last
    assert last_checkpoint(work_dir) is not None and not list(work_dir.glob('*.broken'))


def test_a_path_that_cannot_be(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(FileAccessError, match=r'file/work cannot be written.*Not a directory'):
        check_work_dir(tmp_path / 'file' / 'work')
    check_work_dir(tmp_path / 'new' / 'work')
    assert (tmp_path / 'new' / 'work').is_dir() and not list((tmp_path / 'new/work').iterdir())
    shutil.rmtree(tmp_path / 'new')
