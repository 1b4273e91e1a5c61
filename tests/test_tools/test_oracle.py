import json

import pytest

TOOL = 'analysis_tools/oracle.py'

def test_the_table_is_printed_and_written(run_main, tiny_config, tiny_dump, tmp_path):
    out = tmp_path / 'oracle.json'
    printed = run_main(TOOL, tiny_config, tiny_dump, '--workers', 1,
                       '--strides', 2, 16, '--out', out)
    content = json.loads(out.read_text())
    rows = content['rows']
    assert [(row['categories'], row['boxes'], row['grid']) for row in rows] == [
        ('predicted', 'predicted', 'of the network'), ('true', 'predicted', 'of the network'),
        ('predicted', 'true', 'of the network'), ('true', 'true', 'of the network'),
        ('true', 'true', 'stride 2'), ('true', 'true', 'stride 16')]
    assert [row['mIoU'] is None for row in rows] == [False, True, False, True, False, False]
    assert content['num_images'] == 4 and content['grouper']['type'] == 'PixelBoxGrouper'
    line = next(line for line in printed.splitlines() if 'stride 16' in line)
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    assert cells[3:5] == [f'{rows[5]["mIoU"]:.3f}', f'{rows[5]["APr_0.5"]:.3f}']


def test_mistakes_are_answered_with_one_sentence(run_main, tiny_config, tmp_path):
    with pytest.raises(SystemExit, match=f'oracle.py: {tmp_path}: there is no index.json'):
        run_main(TOOL, tiny_config, tmp_path)


def test_a_thing_at_category_0_is_refused(load_tool):
    class Samples:
        thing_ids, dataset_meta = [0, 1], dict(classes=('cat', 'dog'))

    with pytest.raises(ValueError, match="void counts as category 0, but that is 'cat', a thing"):
        load_tool(TOOL).oracle_table(Samples(), dict(type='PixelBoxGrouper'), [], 1)
