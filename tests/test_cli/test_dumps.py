"""What the tools that read a dump share: ``cli/dumps.py``."""
import cv2
import pytest
import torch
from mmengine.logging import MMLogger

from mmseg_instbox.cli.dumps import dump_parser, open_dump


@pytest.fixture(autouse=True)
def leave_the_process_as_it_was():
    """The level of the log and the numbers of threads are those of other tests again."""
    logger = MMLogger.get_current_instance()
    level, threads, cv2_threads = logger.level, torch.get_num_threads(), cv2.getNumThreads()
    yield
    logger.setLevel(level)
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv2_threads)


def test_the_dump_is_paired_with_its_config(tiny_config, tiny_dump):
    args = dump_parser('text').parse_args([
        str(tiny_config), str(tiny_dump), '--cfg-options', 'model.grouper.min_gain=0.3'])
    samples, grouper = open_dump(args)
    assert len(samples) == 4 and samples.thing_ids == [1, 2]
    assert grouper['type'] == 'PixelBoxGrouper' and grouper['min_gain'] == 0.3


def test_a_directory_is_no_file_to_write(tiny_config, tiny_dump, tmp_path):
    args = dump_parser('text').parse_args([str(tiny_config), str(tiny_dump)])
    with pytest.raises(ValueError, match='--out .* is a directory; give the name of a file'):
        open_dump(args, tmp_path)


@pytest.mark.parametrize('workers', ['0', '-1', 'two'])
def test_workers_are_a_whole_number(workers, capsys):
    with pytest.raises(SystemExit, match='2'):
        dump_parser('text').parse_args(['config.py', 'dump', '--workers', workers])
    assert 'is not a whole number from 1 on' in capsys.readouterr().err
