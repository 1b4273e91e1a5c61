"""Arguments of the tools that read a dump of ``tools/test.py --out``."""
import argparse
import os
from pathlib import Path

import cv2
import torch
from mmengine.config import DictAction
from mmengine.logging import MMLogger

from ..core.groupers import configured_grouper
from ..errors import InvalidInputError
from .startup import load_package

load_package('evaluation.metrics', 'models')  # before the imports that would print notices
from ..engine import load_config  # noqa: E402
from ..evaluation.replay import DumpedSamples  # noqa: E402


def dump_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the config, the dump, ``--cfg-options`` and ``--workers``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the dump was written with')
    parser.add_argument('dump', type=Path, help='directory that tools/test.py --out wrote')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override settings of the config, for example test_dataloader.dataset.ann_file=FILE, '
        'as given to tools/test.py; lists as key="[a,b]" or key=a,b')
    parser.add_argument('--workers', type=at_least_one, default=min(os.cpu_count() or 1, 8),
                        help='number of processes (default here: %(default)s)')
    return parser


def open_dump(args: argparse.Namespace,
              out_file: Path | None = None) -> tuple[DumpedSamples, dict]:
    """Read what the arguments of :func:`dump_parser` name, the samples and the config of the
    model's grouper; make this process quiet and of one thread, for tools that are parallel.

    Raises:
        MissingFileError: The config, the dump or data are missing.
        InvalidInputError: The dump is broken or of another data set, or ``out_file``, which the
            tool is to write in the end, is a directory.
    """
    MMLogger.get_current_instance().setLevel('WARNING')
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    if out_file is not None and out_file.is_dir():
        raise InvalidInputError(f'--out {out_file} is a directory; give the name of a file')
    cfg = load_config(args.config, args.cfg_options)
    return DumpedSamples.from_config(cfg, args.dump), configured_grouper(cfg)


def at_least_one(text: str) -> int:
    """Reads a whole number from 1 on, for ``type`` of an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 1 on')
    return int(text)
