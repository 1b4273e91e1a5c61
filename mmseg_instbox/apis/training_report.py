"""Says how good the model of a training is: figures, confusions, drawings, and how to use it."""
import json
import shlex
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from rich.console import Console

from ..datasets.annotation_formats import AnnotatedImages
from ..engine import read_checkpoint
from ..engine.model_loading import load_weights
from ..evaluation.functional.average_precision import confusion_matrix
from ..evaluation.metrics.base_metric import format_table
from ..evaluation.sample_reader import decode_image
from ..utils import DEFAULT_SCORE_THR, write_json
from ..utils.decoding import read_image
from ..visualization import InstBoxLocalVisualizer, contact_sheet
from ..visualization.utils import write_image
from .own_data import count_objects

MAX_DRAWINGS = 12
MAX_CONFUSIONS = 10
COLUMNS = ('category', 'AP50', 'AP', 'APr_0.5', 'IoU', 'trained on', 'validated on')


def report_training(runner: Runner, work_dir: Path, console: Console) -> Path:
    """Evaluate the best checkpoint, print the figures and how to predict with it, and return it.

    Reads the parts of the data in ``annotations`` of ``work_dir``, and writes ``results.json`` and
    ``validation.png`` there.
    """
    best = find_best(work_dir, runner.message_hub.get_info('best_ckpt'))
    load_weights(runner.model, read_checkpoint(best), str(best))
    found, drawings = evaluate(runner, 'val', MAX_DRAWINGS)
    write_image(contact_sheet(drawings), str(work_dir / 'validation.png'))
    train = json.loads((work_dir / 'annotations' / 'train.json').read_text())
    print_categories(found, count_objects(AnnotatedImages(work_dir, train)), console)
    print_confusions(found, console)
    results = dict(val=found)
    if (work_dir / 'annotations' / 'test.json').is_file():
        results['test'], _ = evaluate(runner, 'test', 0)
        figures = results['test']['metrics']
        console.print(f'{results["test"]["images"]} test images, which took no part: AP50 '
                      f'{figures["AP50"]:.3f}, AP^r 0.5 {figures["APr_0.5"]:.3f}')
    write_json(results, work_dir / 'results.json')
    console.print(f'Predictions on validation images: {work_dir / "validation.png"}\n'
                  f'To predict: instbox predict IMAGES --model {shlex.quote(str(best))}')
    return best


def find_best(work_dir: Path, known: str) -> Path:
    """The best checkpoint, ``known`` if it is there: before the run was interrupted, a better one
    may have replaced it, of which the checkpoint that it was resumed from does not know."""
    best = work_dir / Path(known).name
    return best if best.is_file() else max(
        work_dir.glob('best_*.pth'), key=lambda file: file.stat().st_mtime, default=best)


@torch.no_grad()
def evaluate(runner: Runner, name: str, num_drawings: int) -> tuple[dict, list[np.ndarray]]:
    """Evaluate the runner's model on 'val' or 'test', and draw some of the images, evenly spaced.

    Returns ``metrics``, ``categories`` (a row each), ``confusion`` (see :func:`confusion_matrix`),
    ``names`` of its rows and ``images``, their number; and the drawings, ground truth beside
    prediction, reduced for a contact sheet.
    """
    model = runner.model.eval()
    loader = runner.build_dataloader(runner.cfg[f'{name}_dataloader'])
    meta, count = loader.dataset.metainfo, len(loader.dataset)
    drawn = set(np.linspace(0, count - 1, min(num_drawings, count)).round().astype(int).tolist())
    things, drawings, confusion = meta['thing_classes'], [], 0
    visualizer = InstBoxLocalVisualizer('contact_sheet', score_thr=DEFAULT_SCORE_THR)
    visualizer.set_dataset_meta(**meta)
    with TemporaryDirectory() as folder:
        metrics = [dict(metric, out_file=str(Path(folder, metric['type'])))
                   for metric in runner.cfg[f'{name}_evaluator']]
        evaluator = Evaluator(metrics)
        evaluator.dataset_meta = meta
        for index, batch in enumerate(loader):
            sample, = model.val_step(batch)
            content = sample.to_dict()
            evaluator.process([content], batch)
            image = decode_image(content, meta)
            sure = image.overlap.kept & (image.scores >= DEFAULT_SCORE_THR)
            confusion += confusion_matrix(image.overlap.ious[sure], image.labels[sure],
                                          image.gt_labels, image.scores[sure], len(things))
            if index in drawn:
                shown = np.ascontiguousarray(read_image(sample.img_path)[..., ::-1])
                visualizer.add_datasample(sample.img_path, shown, sample)
                # reduced now: twelve of 12 million pixels, twice each, would take 0.9 GB
                drawings.append(contact_sheet([visualizer.get_image()], gap=0))
        figures = evaluator.evaluate(count)
        tables = [json.loads(Path(metric['out_file']).read_text())['categories']
                  for metric in metrics]
    rows = [{key: value for part in parts for key, value in part.items()}
            for parts in zip(*tables, strict=True)]
    return dict(metrics=figures, categories=[row for row in rows if row['category'] in things],
                confusion=confusion.tolist(), names=list(things), images=count), drawings


def print_categories(found: dict, trained: Counter, console: Console) -> None:
    """Print the figures of each category and over all, with numbers of objects; ``trained`` has
    those of the training by category."""
    rows = [dict(row, **{'trained on': trained[row['category']], 'validated on': row['objects']})
            for row in found['categories']]
    if len(rows) > 1:
        rows.append(dict(
            found['metrics'], category='mean', IoU=found['metrics']['mIoU'],
            **{key: sum(row[key] for row in rows) for key in ('trained on', 'validated on')}))
    console.print(f'Best checkpoint on {found["images"]} validation images; objects trained and '
                  f'validated on:\n{format_table(rows, COLUMNS, digits=3)}')


def print_confusions(found: dict, console: Console) -> None:
    """Print how many objects were found, and the categories most often taken for others."""
    matrix, names = np.array(found['confusion']), [*found['names'], 'background']
    objects, right = matrix[:-1].sum(), np.trace(matrix[:-1, :-1])
    console.print(f'Of {objects} objects {right} were found, {matrix[:-1, -1].sum()} missed, '
                  f'{objects - right - matrix[:-1, -1].sum()} given another category; '
                  f'{matrix[-1].sum()} predictions on no object (IoU above 0.5, score from '
                  f'{DEFAULT_SCORE_THR}).')
    others = matrix[:-1, :-1] * ~np.eye(len(matrix) - 1, dtype=bool)
    for place in np.argsort(-others, axis=None, kind='stable')[:MAX_CONFUSIONS]:
        true, predicted = np.unravel_index(place, others.shape)
        if others[true, predicted]:
            console.print(f'  {names[true]} taken for {names[predicted]}: '
                          f'{others[true, predicted]}')
