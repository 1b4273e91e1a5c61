"""Chooses the settings of a training from its data and the time for it.

What does not depend on them is in ``configs/_base_/own_data.py``.
"""
import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device

from ..datasets.annotation_formats import AnnotatedImages
from ..engine.model_index import index_root
from ..engine.optim_wrappers import has_fast_bfloat16
from .own_data import OwnData, objects_of

# input
CELLS = 40  # pixels that the smaller objects should have in the network's input: five cells of 8
SMALLER = 0.25  # the share of objects that are smaller than the size that decides; each category
# counts alike, as in mean AP: many small objects of one category do not cut large ones to pieces
LARGEST = dict(cpu=800, gpu=1024)  # the input has at most the pixels of a square of this side
SMALLEST = 512
MAGNIFIED = 1.5  # input at most this much larger than the images
TINY = 16  # pixels of an object in the input, two cells: smaller ones are hardly found

# training
CROP = dict(cpu=416, gpu=512)
BATCH = dict(cpu=8, gpu=16)
MAX_EPOCHS = 400  # however much time there is
SAVED_EVERY = dict(cpu=20, gpu=100)  # iterations between checkpoints to resume from
WORKERS = dict(cpu=2, gpu=8)  # processes that load images, at most one a processor
CACHE_BYTES = 2**30  # of loaded images, all workers together

# augmentation; two numbers are for few and for many images
FEW_IMAGES = 200  # up to so many get stronger augmentation
ZOOM = (0.6, 1.6), (0.75, 1.33)  # of crops, relative to the input
SHRINK = (0.6, 1.)  # of whole images, relative to the crop
WHOLE = 0.4, 0.2  # share of whole images; where crops show much less than the input
TURNED = 0.3, 0.  # share of images that are rotated
DEGREES = 15.

# validation
# for a minute of training, and altogether, so that the first figure comes within two minutes; in
# images for which the input of SMALLEST squared and each megapixel of the file count as one
VALIDATED_A_MINUTE = dict(cpu=20, gpu=200)
MOST_VALIDATED = dict(cpu=200, gpu=4000)
FEWEST_VALIDATED = 20  # images of any size


@dataclass(frozen=True)
class Recipe:
    """The settings that follow from the data, the device and the time."""
    side: int  # pixels of the longer side of the input, in validation and prediction
    usual_object: float  # pixels of a side in this input, as half of the objects have or more
    crop: int  # pixels of a side of the training crops
    batch: int  # images of an iteration
    max_iters: int
    save_every: int  # iterations
    workers: int  # processes that load images
    minutes: float | None
    few_images: bool  # whether augmentation is stronger
    max_validated: int | None  # images


def choose_recipe(train: AnnotatedImages, minutes: float, epochs: int | None = None) -> Recipe:
    """Choose the settings of a training of some ``minutes``, or of ``epochs`` instead.

    The input is so large that three quarters of the objects have ``CELLS`` pixels a side or more,
    within limits that depend on the device.
    """
    device = 'cpu' if get_device() == 'cpu' else 'gpu'
    longer = {row['id']: max(row['width'], row['height']) for row in train.coco['images']}
    sizes = [math.sqrt(each['bbox'][2] * each['bbox'][3]) / longer[each['image_id']]
             for each in objects_of(train)]
    labels = [each['category_id'] for each in objects_of(train)]
    counts = Counter(labels)
    smaller = float(np.quantile(sizes, SMALLER, method='inverted_cdf',
                                weights=[1 / counts[label] for label in labels]))
    pixels = float(np.median([row['width'] * row['height'] for row in train.coco['images']]))
    usual = float(np.median([*longer.values()]))
    aspect = max(usual**2 / pixels, 1.)
    side = min(max(CELLS / max(smaller, 1e-3), SMALLEST), LARGEST[device] * math.sqrt(aspect),
               MAGNIFIED * usual)
    side = max(32 * round(side / 32), 64)
    work = side**2 / aspect / SMALLEST**2 + pixels / 1e6  # of validating an image
    validated = min(VALIDATED_A_MINUTE[device] * minutes, MOST_VALIDATED[device]) / work
    return Recipe(
        side=side,
        usual_object=side * float(np.median(sizes)),
        crop=min(side, CROP[device]),
        batch=BATCH[device],
        max_iters=math.ceil(len(longer) / BATCH[device]) * (epochs or MAX_EPOCHS),
        save_every=SAVED_EVERY[device],
        workers=min(WORKERS[device], os.cpu_count() or 1),
        minutes=minutes if epochs is None else None,
        few_images=len(longer) <= FEW_IMAGES,
        max_validated=max(round(validated), FEWEST_VALIDATED) if epochs is None else None)


def training_config_of(recipe: Recipe, data: OwnData, model: dict, work_dir: Path,
                       load_from: Path | None, seed: int) -> Config:
    """The whole config of a training, on ``configs/_base_/own_data.py``, of the config of a model
    and of data whose parts lie in ``work_dir/annotations``."""
    files = {name: str(work_dir.resolve() / 'annotations' / f'{name}.json') for name in data.parts}
    test_pipeline = [
        dict(type='LoadInstImage'),
        dict(type='Resize', scale=(recipe.side, recipe.side), keep_ratio=True),
        dict(type='LoadInstAnnotations'),
        dict(type='PackInstInputs')
    ]

    def loader(name: str, pipeline: list[dict], batch_size: int = 1, shuffle: bool = False) -> dict:
        return dict(
            batch_size=batch_size,
            num_workers=recipe.workers,
            persistent_workers=True,
            sampler=dict(type='SeededInfiniteSampler' if shuffle else 'DefaultSampler',
                         shuffle=shuffle),
            dataset=dict(
                type='CocoInstDataset',
                data_root=str(data.parts[name].root.resolve()),
                ann_file=files[name],
                data_prefix=dict(img_path=''),
                metainfo=dict(classes=('background', *data.categories)),
                pipeline=pipeline))

    def evaluators(name: str) -> list[dict]:
        """Of the pixels that are visible, and of the objects as they are annotated."""
        return [dict(type='InstBoxMetric'), dict(type='InstCocoMetric', ann_file=files[name])]

    tested = 'test' if 'test' in data.parts else 'val'
    cfg = Config.fromfile(index_root() / 'configs' / '_base_' / 'own_data.py')
    mixed = dict(type='AmpOptimWrapper', dtype='bfloat16')
    cfg.merge_from_dict(dict(
        model=model,
        test_pipeline=test_pipeline,
        train_dataloader=loader('train', train_pipeline(recipe), recipe.batch, shuffle=True),
        val_dataloader=loader('val', test_pipeline),
        test_dataloader=loader(tested, test_pipeline),
        val_evaluator=evaluators('val'),
        test_evaluator=evaluators(tested),
        optim_wrapper=mixed if has_fast_bfloat16() else {},
        train_cfg=dict(max_iters=recipe.max_iters, minutes=recipe.minutes),
        default_hooks=dict(checkpoint=dict(interval=recipe.save_every)),
        randomness=dict(seed=seed),
        load_from=None if load_from is None else str(load_from.resolve()),
        work_dir=str(work_dir)))
    return cfg


def train_pipeline(recipe: Recipe) -> list[dict]:
    """Whole images and crops, mirrored, in other colours; few images also turned and scaled more.

    Whole images are shown small, so that large objects are seen whole.
    """
    many = int(not recipe.few_images)
    whole = [dict(type='RandomResize', scale=(recipe.crop, recipe.crop), ratio_range=SHRINK,
                  keep_ratio=True)]
    zoomed = [
        dict(type='RandomResize', scale=(recipe.side, recipe.side), ratio_range=ZOOM[many],
             keep_ratio=True),
        dict(type='RandomCrop', crop_size=(recipe.crop, recipe.crop), cat_max_ratio=0.9)
    ]
    share = WHOLE[recipe.side > 1.5 * recipe.crop]
    turned = [dict(type='RandomRotate', prob=TURNED[many], degree=DEGREES, seg_pad_val=255)]
    load = [dict(type='LoadInstImage'), dict(type='LoadInstAnnotations')]
    return [
        dict(type='CachedLoading', transforms=load, max_side=round(ZOOM[many][1] * recipe.side),
             max_bytes=CACHE_BYTES // recipe.workers),
        dict(type='RandomChoice', prob=[share, 1 - share], transforms=[whole, zoomed]),
        *(turned if TURNED[many] else []),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackInstInputs')
    ]
