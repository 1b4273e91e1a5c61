"""Reads the settings of an exported model from the config of a model."""
from typing import Any

from mmengine.config import Config
from torch import nn

from ..core.groupers import GROUPERS
from ..errors import ExportError
from .export_settings import TEST_CFG, ExportSettings

LOADING = ('LoadImageFromFile', 'LoadInstImage', 'LoadImageFromNDArray', 'LoadAnnotations',
           'LoadInstAnnotations', 'PackSegInputs', 'PackInstInputs')


def settings_of(model: nn.Module) -> ExportSettings:
    """Collects the settings of a model from its config.

    Args:
        model: As ``load_model`` returns it, with ``cfg`` and ``dataset_meta``.

    Raises:
        ExportError: The model finds no instances, its grouper is not one of ours, or its test
            pipeline has a step that exported models do not support.
    """
    if not hasattr(model, 'forward_dense'):
        raise ExportError(f'{type(model).__name__} finds no instances: only an InstBoxSegmentor '
                          'can be exported.')
    meta = dict(model.dataset_meta)
    meta.update(classes=list(meta['classes']), thing_classes=list(meta['thing_classes']),
                palette=[[int(value) for value in colour] for colour in meta['palette']])
    test_cfg = {key: list(value) if isinstance(value, tuple | list) else value
                for key, value in (model.test_cfg or {}).items() if key in TEST_CFG}
    settings = ExportSettings(
        dataset_meta=meta, thing_ids=list(model.thing_ids), resize=_resize(model.cfg),
        test_cfg=test_cfg, grouper=_grouper(model.cfg), **_preprocessing(model.data_preprocessor))
    settings.check('This model')
    return settings


def _resize(cfg: Config) -> dict[str, Any] | None:
    """Returns how the test pipeline scales images."""
    pipeline = cfg.get('test_pipeline')
    if pipeline is None and 'test_dataloader' in cfg:
        pipeline = cfg.test_dataloader.dataset.get('pipeline')
    resize = None
    for step in pipeline or ():
        kind = str(step['type']).split('.')[-1]
        known = kind == 'Resize' and resize is None and set(step) <= {'type', 'scale', 'keep_ratio'}
        if known and 'scale' in step:
            scale = step['scale']
            scale = [scale, scale] if isinstance(scale, int) else list(scale)
            resize = dict(scale=scale, keep_ratio=bool(step.get('keep_ratio', False)))
        elif kind not in LOADING:
            raise ExportError(f'The test pipeline has the step {dict(step)}, which exported models '
                              'do not support: only one Resize with scale and keep_ratio may be '
                              'between loading and packing.')
    return resize


def _preprocessing(preprocessor: nn.Module) -> dict[str, Any]:
    """Returns normalisation and padding of mmseg's data preprocessor."""
    if not hasattr(preprocessor, '_channel_conversion'):
        raise ExportError(f'{type(preprocessor).__name__} is no SegDataPreProcessor, whose '
                          'normalisation could be exported.')
    test_cfg = dict(preprocessor.test_cfg or {})
    padding = dict(size=list(test_cfg['size'])) if test_cfg.get('size') else dict(
        size_divisor=test_cfg.get('size_divisor') or 1)
    normalises = preprocessor._enable_normalize
    mean, std = ((getattr(preprocessor, name).flatten().tolist() if normalises else [start] * 3)
                 for name, start in (('mean', 0.), ('std', 1.)))
    return dict(mean=mean, std=std, bgr_to_rgb=bool(preprocessor._channel_conversion),
                padding=dict(padding, value=preprocessor.pad_val))


def _grouper(cfg: Config) -> dict[str, Any]:
    grouper = dict((cfg.get('model') or {}).get('grouper') or dict(type='PixelBoxGrouper'))
    grouper['type'] = str(grouper['type']).split('.')[-1]
    if grouper['type'] not in GROUPERS:
        raise ExportError(f'{grouper["type"]} is a custom grouper, which exported models do not '
                          f'support; they support {", ".join(GROUPERS)}.')
    return grouper
