"""Parameters, FLOPs and memory: ``python tools/analysis_tools/model_stats.py CONFIG ...``.

As ``instbox info CONFIG ...``.
"""
from mmseg_instbox.cli.main import main

if __name__ == '__main__':
    main('info')
