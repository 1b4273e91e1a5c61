"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``, as ``instbox test`` does."""
from mmseg_instbox.cli.main import main

if __name__ == '__main__':
    main('test')
