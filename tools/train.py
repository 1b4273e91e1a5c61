"""Train a model: ``python tools/train.py CONFIG``, as ``instbox train CONFIG`` does."""
from mmseg_instbox.cli.main import main

if __name__ == '__main__':
    main('train')
