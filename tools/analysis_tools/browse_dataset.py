"""Show training samples: ``python tools/analysis_tools/browse_dataset.py CONFIG --output-dir DIR``.

As ``instbox browse CONFIG --out DIR``.
"""
from mmseg_instbox.cli.main import main

if __name__ == '__main__':
    main('browse')
