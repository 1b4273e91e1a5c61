import json
import os
from time import monotonic

import pytest
import torch
from own_pictures import write_images
from PIL import Image

from mmseg_instbox.apis import InstBoxInferencer, train_on_data
from mmseg_instbox.apis.model_loading import default_weights
from mmseg_instbox.apis.own_data_training import choose_work_dir, find_alike
from mmseg_instbox.apis.training_report import find_best
from mmseg_instbox.datasets.annotation_formats import AnnotatedImages
from mmseg_instbox.engine import build_network, config_to_json, load_config, training_config
from mmseg_instbox.engine import run_training as run_config
from mmseg_instbox.engine.loops import BudgetTrainLoop
from mmseg_instbox.errors import InvalidInputError

QUICK = {f'{name}_dataloader.{key}': value for name in ('train', 'val', 'test')
         for key, value in (('num_workers', 0), ('persistent_workers', False))}


@pytest.fixture(scope='module')
def base(tiny_config, tmp_path_factory):
    """A checkpoint of a tiny network that knows squares and discs."""
    cfg = load_config(str(tiny_config))
    for part in (cfg.model.backbone, cfg.model.decode_head, cfg.model.box_head):
        part.norm_cfg.type = 'BN'
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp('base') / 'base.pth'
    torch.save(dict(state_dict=build_network(cfg).half().state_dict(), meta=dict(
        config_json=config_to_json(cfg), dataset_meta=dict(
            classes=('background', 'square', 'disc')))), file)
    return file


@pytest.fixture(scope='module')
def run(base, tmp_path_factory):
    """The work directory of a training on twelve images, its best checkpoint and its output."""
    folder = tmp_path_factory.mktemp('own')
    data = folder / 'data'
    write_images(data / 'train', 10)
    write_images(data / 'test', 2)
    cfg_options = dict(QUICK, experiment_name='own')
    best = train_on_data(data, folder / 'work', epochs=2, base=str(base), cfg_options=cfg_options)
    return folder / 'work', best, cfg_options, data


def test_it_leaves_a_model_figures_and_pictures(run):
    work_dir, best, *_ = run
    assert best.name.startswith('best_APr_vol_iter_') and best.parent == work_dir
    results = json.loads((work_dir / 'results.json').read_text())
    assert results['val']['images'] == results['test']['images'] == 2
    assert [row['category'] for row in results['val']['categories']] == ['disc', 'star']
    assert all({'AP50', 'AP', 'APr_0.5', 'objects'} <= set(row)
               for row in results['val']['categories'])
    confusion = results['val']['confusion']
    assert sum(map(sum, confusion[:-1])) == 4
    assert Image.open(work_dir / 'validation.png').size[0] > 500
    assert (work_dir / 'last_checkpoint').is_file()
    assert not list((work_dir / 'annotations').glob('.*'))


def test_the_model_predicts_with_the_names_of_the_data(run):
    _, best, _, data = run
    inferencer = InstBoxInferencer(str(best), show_progress=False)
    assert inferencer.dataset_meta['thing_classes'] == ('disc', 'star')
    assert 'label_names' in inferencer(str(data / 'test' / '0.png'))['predictions'][0]


def test_known_categories_start_with_their_weights(run, base):
    state = torch.load(run[0] / 'base.pth')['state_dict']
    before = torch.load(base)['state_dict']
    key = 'decode_head.conv_seg.weight'
    assert torch.equal(state[key][:2], before[key][[0, 2]].float())
    assert not any(torch.equal(state[key][2], row.float()) for row in before[key])


def test_the_written_config_runs_the_same_and_resumes(run):
    work_dir, *_ = run
    text = (work_dir / 'config.py').read_text()
    assert text.startswith('# Written by `instbox train`')
    cfg = training_config(str(work_dir / 'config.py'), work_dir=str(work_dir / 'again'),
                          cfg_options=dict(experiment_name='own_again'))
    assert cfg.train_cfg.max_iters == 2 and cfg.train_cfg.type == 'BudgetTrainLoop'
    runner = run_config(cfg, quiet=True)
    assert runner.iter == 2
    weights = [torch.load(folder / 'iter_2.pth')['state_dict']['decode_head.conv_seg.weight']
               for folder in (work_dir, work_dir / 'again')]
    assert torch.equal(*weights)


def test_resuming_goes_on(run, capsys):
    work_dir, best, cfg_options, data = run
    text = (work_dir / 'config.py').read_text()
    longer = dict(cfg_options, experiment_name='own_on', **{'train_cfg.max_iters': 4})
    train_on_data(data, work_dir, resume='auto', cfg_options=longer)
    assert (work_dir / 'iter_4.pth').is_file()
    assert (work_dir / 'config.py').read_text() == text
    output = capsys.readouterr().out
    assert len(output.splitlines()) < 40 and 'instbox predict' in output


def test_a_best_checkpoint_that_was_replaced_before_the_interruption(tmp_path):
    known = '/elsewhere/work/best_APr_vol_iter_9.pth'
    assert find_best(tmp_path, known) == tmp_path / 'best_APr_vol_iter_9.pth'
    for number, age in ((30, 50), (4, 90), (9, 70)):
        file = tmp_path / f'best_APr_vol_iter_{number}.pth'
        file.touch()
        os.utime(file, (100 - age, 100 - age))
    assert find_best(tmp_path, known).name == 'best_APr_vol_iter_9.pth'
    (tmp_path / 'best_APr_vol_iter_9.pth').unlink()
    assert find_best(tmp_path, known).name == 'best_APr_vol_iter_30.pth'


def test_an_interrupted_training_reports_on_its_best_checkpoint(run, base, tmp_path, capsys,
                                                                monkeypatch):
    *_, data = run
    settings = dict(QUICK, experiment_name='own_stopped')
    train_iteration = BudgetTrainLoop.run_iter

    def interrupted(loop, batch):
        if loop._iter == 1:
            raise KeyboardInterrupt
        train_iteration(loop, batch)

    monkeypatch.setattr(BudgetTrainLoop, 'run_iter', interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_on_data(data, tmp_path, epochs=2, base=str(base), cfg_options=settings)
    output = capsys.readouterr().out
    assert 'Stopped.' in output and f'--model {tmp_path}/best_APr_vol_iter_' in output
    assert (tmp_path / 'results.json').is_file() and (tmp_path / 'validation.png').is_file()


def test_minutes_begin_before_the_training(run, base, tmp_path, monkeypatch):
    *_, data = run
    budgets = []

    def stop(cfg, *_, **__):
        budgets.append(cfg.train_cfg.minutes)
        raise KeyboardInterrupt

    monkeypatch.setattr('mmseg_instbox.apis.own_data_training.run_training', stop)
    for minutes in (2, 50):
        with pytest.raises(KeyboardInterrupt):
            train_on_data(data, tmp_path, minutes=10, base=str(base), cfg_options=QUICK,
                          started=monotonic() - 60 * minutes)
    assert 5 <= budgets[0] < 8 and budgets[1] == 5  # at least half the time is left
    assert 'minutes=10' in (tmp_path / 'config.py').read_text()


def test_objects_too_small_to_be_found_are_reported(run, base, tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmseg_instbox.apis.own_data_training.run_training', stop)
    for tiny, said in ((30, False), (40, True)):  # they measure 24 of 64 px, 36 of 96 in the input
        monkeypatch.setattr('mmseg_instbox.apis.own_data_training.TINY', tiny)
        with pytest.raises(KeyboardInterrupt):
            train_on_data(run[3], tmp_path, base=str(base), cfg_options=QUICK)
        output = capsys.readouterr().out
        assert ('measure less than 36 px there, and few below 40 px' in output) == said


def test_nothing_to_resume(tmp_path):
    with pytest.raises(InvalidInputError, match='no training to resume'):
        train_on_data(tmp_path, tmp_path, resume='auto')


def test_each_training_has_a_directory_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = choose_work_dir('data/cells.v2', None)
        folder.mkdir(parents=True)
        (folder / 'config.py').touch()
        names.append(str(folder))
    assert names == ['work_dirs/cells', 'work_dirs/cells_2', 'work_dirs/cells_3']
    assert str(choose_work_dir('data/cells.v2', 'auto')) == names[-1]
    assert str(choose_work_dir('data/new', 'auto')) == 'work_dirs/new'


def test_the_category_seen_at_most_pixels_of_the_objects(repo):
    def annotation(number, category, x1, y1, x2, y2):
        return dict(id=number, image_id=number % 2, category_id=category, iscrowd=0,
                    segmentation=[[x1, y1, x2, y1, x2, y2, x1, y2]])

    part = AnnotatedImages(repo / 'demo' / 'samples', dict(
        images=[dict(id=0, file_name='chelsea.jpg'), dict(id=1, file_name='astronaut.jpg')],
        annotations=[annotation(0, 4, 150, 80, 300, 250), annotation(1, 7, 150, 100, 330, 500),
                     annotation(3, 5, 0, 0, 40, 100)],
        categories=[dict(id=4, name='kitten'), dict(id=5, name='wall'), dict(id=7, name='pilot'),
                    dict(id=9, name='unused')]))
    assert find_alike(str(default_weights()), part) == dict(kitten='cat', pilot='person')
