import json
from pathlib import Path

import metric_samples
from metric_samples import all_metrics, evaluate, official_meta, official_samples, write_official
from programs import Program


def test_two_processes_give_the_same_figures(tmp_path):
    ann_file = write_official(tmp_path / 'a.json', range(8))
    processes = [
        Program(Path(metric_samples.__file__), tmp_path / f'{rank}.txt', rank, 2, tmp_path / 'init',
                tmp_path / 'out', ann_file, 7, 8)
        for rank in (0, 1)
    ]
    for process in processes:
        process.succeeds()
    alone = [evaluate(official_samples(range(size)), all_metrics(ann_file), official_meta())
             for size in (7, 8)]
    for key in ('APr_vol', 'AP', 'PQ', 'coco/AP'):
        assert 0.01 < alone[0][key] < 0.95 and alone[0][key] != alone[1][key]
    assert alone[0]['AP'] != alone[0]['coco/AP']
    for rank in (0, 1):
        assert json.loads(Path(f'{tmp_path}/out.{rank}').read_text()) == alone
