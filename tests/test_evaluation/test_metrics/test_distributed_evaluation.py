import json
import os
import subprocess
import sys
from pathlib import Path

import metric_samples
from metric_samples import all_metrics, evaluate, official_meta, official_samples, write_official


def test_two_processes_give_the_same_figures(tmp_path, repo):
    ann_file = write_official(tmp_path / 'a.json', range(8))
    arguments = [str(tmp_path / 'init'), str(tmp_path / 'out'), ann_file, '7', '8']
    environment = dict(os.environ, PYTHONPATH=str(repo), OMP_NUM_THREADS='1')
    processes = [
        subprocess.Popen([sys.executable, metric_samples.__file__, str(rank), '2', *arguments],
                         cwd=tmp_path, env=environment,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for rank in (0, 1)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output.decode()
    alone = [evaluate(official_samples(range(size)), all_metrics(ann_file), official_meta())
             for size in (7, 8)]
    for key in ('APr_vol', 'AP', 'PQ', 'coco/AP'):
        assert 0.01 < alone[0][key] < 0.95 and alone[0][key] != alone[1][key]
    assert alone[0]['AP'] != alone[0]['coco/AP']
    for rank in (0, 1):
        assert json.loads(Path(f'{tmp_path}/out.{rank}').read_text()) == alone
