"""Trains a model on annotated images, from the path of the images to the report."""
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from rich.console import Console

from ..datasets.annotation_formats import AnnotatedImages
from ..datasets.coco_masks import segmentation_rle
from ..engine import run_training, training_config
from ..engine.category_transfer import start_from
from ..engine.config_io import merge_options
from ..engine.hooks import ProgressLineHook
from ..engine.training import check_work_dir
from ..errors import InvalidInputError
from ..utils import atomic_write
from ..utils.run_lengths import decode_crop
from .inst_box_inferencer import InstBoxInferencer
from .model_loading import default_weights
from .own_data import OwnData, choose_images, objects_of, read_own_data
from .training_recipe import TINY, Recipe, choose_recipe, training_config_of
from .training_report import report_training

ALIKE_IMAGES = 16  # that are looked at for categories that are alike
MAX_NOTES = 8
MAX_NAMES = 12
LEAST_SHARE = 0.5  # of the minutes that remain for the training however long the start takes
HEADER = '# Written by `instbox train`. To run it again: python tools/train.py {file}\n'


def train_on_data(data: str | Path, work_dir: str | Path | None = None, *, minutes: float = 10.,
                  epochs: int | None = None, val: str | None = None, images: str | None = None,
                  base: str | None = None, seed: int = 0, resume: str | None = None,
                  cfg_options: dict | None = None, allow_pickle: bool = False,
                  started: float | None = None) -> Path:
    """Train a model on annotated images and report how good it is.

    An interruption (Ctrl+C) ends the training, not the report: it is of the best checkpoint so far.

    Args:
        data: Any annotations that :func:`mmseg_instbox.datasets.read_annotations` reads.
        work_dir: Where everything is written; by default ``work_dirs/NAME``.
        minutes: Time for the training and its validations.
        epochs: How often each image is seen; replaces ``minutes``.
        val: Other data to validate on.
        images: The folder of the images, if it is not in the data.
        base: The model to start from, as for ``instbox predict``; by default that in ``demo/``.
        seed: Seed of the validation part and of the training.
        resume: A checkpoint to resume from, or 'auto' for the last one in ``work_dir``.
        cfg_options: Settings of the config to override.
        allow_pickle: Trust ``base``.
        started: What ``time.monotonic()`` said when the minutes began; by default they begin now.

    Returns:
        Path: The best checkpoint.

    Raises:
        MissingFileError: A file or folder is missing.
        InvalidInputError: The data cannot be trained on, or the base model is none.
        TrainingError: See :func:`mmseg_instbox.engine.run_training`.
        KeyboardInterrupt: The training was interrupted; the report is made.
    """
    started = monotonic() if started is None else started
    console = Console(highlight=False, markup=False, soft_wrap=True)
    work_dir = Path(work_dir or choose_work_dir(data, resume))
    config = work_dir / 'config.py'
    if not resume:
        own = read_own_data(data, val, images, seed)
        recipe = choose_recipe(own.parts['train'], minutes, epochs)
        own = own.limit_validation(recipe.max_validated, seed)
        prepare_training(own, recipe, work_dir, str(base or default_weights()), seed, cfg_options,
                         allow_pickle, console)
    elif not config.is_file():
        raise InvalidInputError(f'There is no training to resume in {work_dir}: leave --resume '
                                'out, or give its directory with --work-dir.')
    text = config.read_text(encoding='utf-8')
    cfg = training_config(str(config), work_dir=str(work_dir), cfg_options=cfg_options,
                          resume=resume, allow_pickle=allow_pickle)
    line = ProgressLineHook(cfg.default_hooks.checkpoint.save_best)
    if minutes := cfg.train_cfg.get('minutes'):
        cfg.train_cfg.minutes = max(minutes - (monotonic() - started) / 60, LEAST_SHARE * minutes)
    try:
        run_training(cfg, [line], quiet=True)
    except KeyboardInterrupt:
        if line.runner is not None and 'best_ckpt' in line.runner.message_hub.runtime_info:
            line.stop()
            console.print('Stopped. The report is of the best checkpoint; Ctrl+C leaves it out.')
            report_training(line.runner, work_dir, console)
        raise
    finally:
        line.stop()
        atomic_write(text.encode(), config)  # the runner writes its own form of it
    return report_training(line.runner, work_dir, console)


def choose_work_dir(data: str | Path, resume: str | None) -> Path:
    """``work_dirs/NAME`` with a number if there is one: to resume the last, else a new one."""
    first = Path('work_dirs') / (Path(data).resolve().stem or 'data')
    folder, number = first, 1
    while (folder / 'config.py').exists():
        last, number = folder, number + 1
        folder = first.with_name(f'{first.name}_{number}')
    return last if resume and number > 1 else folder


def prepare_training(own: OwnData, recipe: Recipe, work_dir: Path, base: str, seed: int,
                     cfg_options: dict | None, allow_pickle: bool, console: Console) -> None:
    """Write the annotations, the weights to start from and the config to ``work_dir``."""
    classes = ('background', *own.categories)
    model, weights, known = start_from(base, classes, allow_pickle)
    if weights is not None and len(known) < len(classes):
        alike = find_alike(base, own.parts['train'], allow_pickle)
        model, weights, known = start_from(base, classes, allow_pickle, alike)
    check_work_dir(work_dir)
    own.write(work_dir / 'annotations')
    load_from = work_dir / 'base.pth' if weights is not None else None
    if weights is not None:
        torch.save(dict(state_dict=weights, meta={}), load_from)
    cfg = training_config_of(recipe, own, model, work_dir, load_from, seed)
    merge_options(cfg, cfg_options)
    file = work_dir / 'config.py'
    atomic_write((HEADER.format(file=file) + cfg.pretty_text).encode(), file)
    console.print(*_describe(own, recipe, known), f'Config, log and checkpoints: {work_dir}',
                  sep='\n')


def find_alike(base: str, part: AnnotatedImages, allow_pickle: bool = False) -> dict[str, str]:
    """For each new category, the one that a trained model sees at most pixels of its objects in
    some images, by name; none where that is the model's first category, the background."""
    inferencer = InstBoxInferencer(base, show_progress=False, allow_pickle=allow_pickle)
    names = inferencer.dataset_meta['classes']
    objects, images = part.by_image(), part.coco['images']
    if len(images) > ALIKE_IMAGES:
        chosen = choose_images(part, ALIKE_IMAGES / len(images), seed=0)
        images = [row for row in images if row['id'] in chosen]
    files = {str(part.root / row['file_name']): row['id'] for row in images}
    seen = defaultdict(lambda: np.zeros(len(names), int))
    for sample in inferencer.stream(list(files)):
        labels = sample.pred_sem_seg.data[0].cpu().numpy()
        for each in objects[files[sample.img_path]]:
            if each.get('iscrowd'):
                continue
            crop = decode_crop(
                segmentation_rle(each['segmentation'], labels.shape, sample.img_path))
            seen[each['category_id']] += np.bincount(labels[crop.window][crop.pixels],
                                                     minlength=len(names))
    return {row['name']: names[seen[row['id']].argmax()] for row in part.coco['categories']
            if seen[row['id']].argmax() > 0}


def _describe(own: OwnData, recipe: Recipe, known: dict[str, str]) -> Iterator[str]:
    """Lines about the data and the settings of a training."""
    for note in own.notes[:MAX_NOTES]:
        yield f'  {note}'
    if own.notes[MAX_NOTES:]:
        yield f'  and {len(own.notes) - MAX_NOTES} other kinds of problems'
    for name, part in own.parts.items():
        yield f'{name}: {len(part.coco["images"])} images, {len(objects_of(part))} objects'
    more = len(own.categories) - MAX_NAMES
    yield (f'categories: {", ".join(own.categories[:MAX_NAMES])}'
           + (f' and {more} more' if more > 0 else ''))
    if starts := [new if new.casefold() == old.casefold() else f'{new} (as {old})'
                  for new, old in known.items() if new != 'background']:
        yield f'known to the base model: {", ".join(starts)}'
    time = f'{recipe.max_iters} iterations' if recipe.minutes is None else (
        f'{recipe.minutes:g} minutes')
    yield f'{time} of {recipe.batch} images at {recipe.side} px'
    if recipe.usual_object < TINY:
        yield (f'half of the objects measure less than {recipe.usual_object:.0f} px there, and few '
               f'below {TINY} px are found: cut the images into tiles, with their annotations')
