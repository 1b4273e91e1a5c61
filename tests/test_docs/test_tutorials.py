"""Each tutorial runs with small budgets, and what is committed of it is small."""
from pathlib import Path

import pytest
from programs import Program

nbformat = pytest.importorskip('nbformat')
pytest.importorskip('IPython', reason='notebooks are run by IPython')

TUTORIALS = Path(__file__).resolve().parents[2] / 'docs' / 'tutorials'
SETTINGS = {f'{part}_dataloader.{key}': value for part in ('train', 'val', 'test')
            for key, value in dict(num_workers=0, persistent_workers=False).items()}
GENERATED = dict(num_train=8, num_val=2, iterations=2, settings=SETTINGS)
SMALL = dict(  # parameters that the test sets
    segment_photographs={},
    own_data=dict(number=6, size=(64, 80), epochs=1, settings=SETTINGS),
    any_model=GENERATED,
    ablation=GENERATED)
PRINTED = dict(segment_photographs="['cat']", own_data='found', any_model='equal logits: True',
               ablation='_box-nms-grouper')


def test_all_are_run():
    assert sorted(SMALL) == sorted(file.stem for file in TUTORIALS.glob('*.ipynb'))


@pytest.mark.parametrize('name', SMALL)
def test_it_runs(name, repo, tmp_path):
    if name == 'segment_photographs':
        pytest.importorskip('onnx', reason='it exports a model')
    folder = tmp_path / 'docs' / 'tutorials'  # what it writes lies in work_dirs beside
    folder.mkdir(parents=True)
    for each in ('demo', 'tools'):
        (tmp_path / each).symlink_to(repo / each)
    notebook = nbformat.read(TUTORIALS / f'{name}.ipynb', 4)
    parameters, = (cell for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', ()))
    parameters.source += ''.join(f'\n{key} = {value!r}' for key, value in SMALL[name].items())
    nbformat.write(notebook, tmp_path / 'small.ipynb')
    runner = Path(__file__).with_name('run_notebook.py')
    printed = Program(runner, tmp_path / 'output.txt', folder, tmp_path / 'small.ipynb',
                      IPYTHONDIR=str(tmp_path / 'ipython')).succeeds()
    assert PRINTED[name] in printed


@pytest.mark.parametrize('name', SMALL)
def test_it_is_valid_small_and_tells_its_running_time(name):
    file = TUTORIALS / f'{name}.ipynb'
    assert file.stat().st_size < 300_000
    notebook = nbformat.read(file, 4)
    nbformat.validate(notebook)
    assert '**Running time:**' in notebook.cells[0].source
