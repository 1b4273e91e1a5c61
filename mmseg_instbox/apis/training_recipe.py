"""Chooses the settings of a training from its data and the time for it."""
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device

from ..engine.model_index import index_root
from .own_data import DataPart, OwnData

MONITOR = 'AP50'
CELLS = 40  # pixels that the smaller objects should have in the network's input: five cells of 8
SMALLER = 0.25  # the share of objects that are smaller than the size that decides
LARGEST = dict(cpu=800, gpu=1024)  # longer side of the input at most
SMALLEST = 416
MAGNIFIED = 1.5  # input at most this much larger than the images
CROP = dict(cpu=416, gpu=512)
BATCH = dict(cpu=8, gpu=16)
FEW_IMAGES = 200  # up to so many get stronger augmentation
MAX_EPOCHS = 400  # however much time there is
VALIDATED_A_MINUTE = dict(cpu=10, gpu=100)  # validation images for each minute of training
FEWEST_VALIDATED = 20
PATIENCE = 7  # validations without a gain before a training ends; there are 15
MIN_GAIN = 0.002
RATE = 1e-4  # of AdamW, for the backbone
HEAD_RATE = 3.  # times RATE, for both heads
CATEGORY_RATE = 10.  # times RATE, for the layers that are new
MAX_NORM = 10.  # of the gradients


@dataclass(frozen=True)
class Recipe:
    """The settings that follow from the data, the device and the time.

    Attributes:
        side: Longer side of the network's input in pixels, in validation and prediction.
        crop: Side of the training crops in pixels.
        batch: Images of an iteration.
        max_iters: Iterations at most.
        minutes: Time for the training, or None.
        few_images: Whether augmentation is stronger.
        max_validated: Validation images at most, or None.
    """
    side: int
    crop: int
    batch: int
    max_iters: int
    minutes: float | None
    few_images: bool
    max_validated: int | None


def choose_recipe(train: DataPart, minutes: float, epochs: int | None = None) -> Recipe:
    """Choose the settings of a training.

    The input is so large that three quarters of the objects have ``CELLS`` pixels a side or more,
    within limits that depend on the device.

    Args:
        train: The images to train on.
        minutes: Time for the training and its validations.
        epochs: How often each image is seen; replaces ``minutes``.
    """
    device = 'cpu' if get_device() == 'cpu' else 'gpu'
    longer = float(np.median(train.image_sizes().max(1)))
    smaller = max(float(np.quantile(train.object_sizes(), SMALLER)), 1e-3)
    side = min(max(CELLS / smaller, SMALLEST), LARGEST[device], MAGNIFIED * longer)
    side = max(32 * round(side / 32), 64)
    count = len(train.coco['images'])
    per_epoch = math.ceil(count / BATCH[device])
    validated = None if epochs else max(
        round(VALIDATED_A_MINUTE[device] * minutes), FEWEST_VALIDATED)
    return Recipe(
        side=side,
        crop=min(side, CROP[device]),
        batch=BATCH[device],
        max_iters=per_epoch * (epochs or MAX_EPOCHS),
        minutes=minutes if epochs is None else None,
        few_images=count <= FEW_IMAGES,
        max_validated=validated)


def training_config_of(recipe: Recipe, data: OwnData, model: dict, work_dir: Path,
                       load_from: Path | None, seed: int) -> Config:
    """The whole config of a training, on the shipped runtime and hooks.

    Args:
        recipe: The settings.
        data: The data, whose parts lie in ``work_dir/annotations``.
        model: The config of the model.
        work_dir: The work directory.
        load_from: The weights to start from.
        seed: Seed of the training.
    """
    base = index_root() / 'configs' / '_base_'
    runtime = Config.fromfile(base / 'default_runtime.py').to_dict()
    hooks = Config.fromfile(base / 'default_hooks.py').to_dict()['default_hooks']
    hooks['logger']['interval'] = 10
    hooks['checkpoint'].update(interval=100, max_keep_ckpts=1, save_best=MONITOR)
    tested = 'test' if 'test' in data.parts else 'val'
    files = {name: work_dir.resolve() / 'annotations' / f'{name}.json' for name in data.parts}
    datasets = {name: dict(
        type='CocoInstDataset',
        data_root=str(part.root.resolve()),
        ann_file=str(files[name]),
        data_prefix=dict(img_path=''),
        metainfo=dict(classes=('background', *data.categories)),
        pipeline=train_pipeline(recipe) if name == 'train' else test_pipeline(recipe))
        for name, part in data.parts.items()}
    return Config(dict(
        runtime,
        model=model,
        test_pipeline=test_pipeline(recipe),
        train_dataloader=_loader(datasets['train'], recipe.batch, 'SeededInfiniteSampler'),
        val_dataloader=_loader(datasets['val'], 1, 'DefaultSampler'),
        test_dataloader=_loader(datasets[tested], 1, 'DefaultSampler'),
        val_evaluator=evaluators(files['val']),
        test_evaluator=evaluators(files[tested]),
        optim_wrapper=_optim_wrapper(),
        train_cfg=dict(
            type='BudgetTrainLoop', max_iters=recipe.max_iters, minutes=recipe.minutes),
        val_cfg=dict(type='ValLoop'),
        test_cfg=dict(type='TestLoop'),
        default_hooks=hooks,
        custom_hooks=[dict(type='EarlyStoppingHook', monitor=MONITOR, rule='greater',
                           min_delta=MIN_GAIN, patience=PATIENCE)],
        randomness=dict(seed=seed),
        load_from=None if load_from is None else str(load_from.resolve()),
        work_dir=str(work_dir)))


def evaluators(ann_file: Path) -> list[dict]:
    """The metrics: of the pixels that are visible, and of the objects as they are annotated."""
    return [dict(type='InstBoxMetric'), dict(type='InstCocoMetric', ann_file=str(ann_file))]


def _loader(dataset: dict, batch_size: int, sampler: str) -> dict:
    return dict(
        batch_size=batch_size,
        num_workers=min(2, os.cpu_count() or 1),
        persistent_workers=True,
        sampler=dict(type=sampler, shuffle=batch_size > 1),
        dataset=dataset)


def _optim_wrapper() -> dict:
    """The layers that know categories learn fastest, the backbone slowest."""
    category, head = dict(lr_mult=CATEGORY_RATE), dict(lr_mult=HEAD_RATE)
    rates = {'decode_head': head, 'box_head': head, 'decode_head.conv_seg': category,
             'decode_head.correction': category}
    return dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=RATE, weight_decay=0.01),
        clip_grad=dict(max_norm=MAX_NORM),
        paramwise_cfg=dict(norm_decay_mult=0., custom_keys=rates))


def train_pipeline(recipe: Recipe) -> list[dict]:
    """Whole images and crops, mirrored, in other colours; few images also turned and scaled more.

    Whole images are shown small, so that large objects are seen whole.
    """
    spread = (0.6, 1.6) if recipe.few_images else (0.75, 1.33)
    whole = [dict(type='RandomResize', scale=(recipe.crop, recipe.crop), ratio_range=(0.6, 1.),
                  keep_ratio=True)]
    zoomed = [
        dict(type='RandomResize', scale=(recipe.side, recipe.side), ratio_range=spread,
             keep_ratio=True),
        dict(type='RandomCrop', crop_size=(recipe.crop, recipe.crop), cat_max_ratio=0.9)
    ]
    share = 0.4 if recipe.side <= 1.5 * recipe.crop else 0.2
    turned = [dict(type='RandomRotate', prob=0.3, degree=15., seg_pad_val=255)]
    return [
        dict(type='LoadInstImage'),
        dict(type='LoadInstAnnotations'),
        dict(type='RandomChoice', prob=[share, 1 - share], transforms=[whole, zoomed]),
        *(turned if recipe.few_images else []),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackInstInputs')
    ]


def test_pipeline(recipe: Recipe) -> list[dict]:
    """Whole images at the size of the input."""
    return [
        dict(type='LoadInstImage'),
        dict(type='Resize', scale=(recipe.side, recipe.side), keep_ratio=True),
        dict(type='LoadInstAnnotations'),
        dict(type='PackInstInputs')
    ]
