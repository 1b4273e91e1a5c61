"""The settings of a model that is to be exported."""
from collections.abc import Iterable
from typing import Any

from torch import nn

from ..core.groupers import GROUPERS
from ..errors import ExportError
from .export_settings import ExportSettings

_TEST_CFG = ('mode', 'crop_size', 'stride', 'shifts')
_LOADING = ('LoadImageFromFile', 'LoadInstImage', 'LoadImageFromNDArray', 'LoadAnnotations',
            'LoadInstAnnotations', 'PackSegInputs', 'PackInstInputs')


def settings_of(model: nn.Module) -> ExportSettings:
    """What a model's config says about pictures and grouping.

    Args:
        model: As ``load_model`` gives it, with ``cfg`` and ``dataset_meta``.

    Raises:
        ValueError: It finds no instances, its grouper is no one of ours, or its test pipeline
            has a step that what runs exported models does not know.
    """
    if not hasattr(model, 'forward_dense'):
        raise ExportError(f'{type(model).__name__} finds no instances: only an InstBoxSegmentor '
                          'can be exported.')
    meta = {key: value for key, value in dict(model.dataset_meta).items()}
    meta.update(classes=list(meta['classes']), thing_classes=list(meta['thing_classes']),
                palette=[[int(value) for value in colour] for colour in meta['palette']])
    settings = ExportSettings(
        dataset_meta=meta,
        thing_ids=list(model.thing_ids),
        resize=_resize(_pipeline(model.cfg)),
        test_cfg={key: _plain(model.test_cfg[key]) for key in _TEST_CFG
                  if key in (model.test_cfg or {})},
        grouper=_grouper(model),
        **_preprocessing(model.data_preprocessor))
    settings.check('This model')
    return settings


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


def _pipeline(cfg: Any) -> list[dict]:
    pipeline = cfg.get('test_pipeline')
    if pipeline is None and 'test_dataloader' in cfg:
        pipeline = cfg.test_dataloader.dataset.get('pipeline')
    return list(pipeline or ())


def _resize(pipeline: Iterable[dict]) -> dict[str, Any] | None:
    """How the test pipeline scales pictures."""
    resize = None
    for step in pipeline:
        kind = str(step['type']).split('.')[-1]
        known = kind == 'Resize' and resize is None and set(step) <= {'type', 'scale', 'keep_ratio'}
        if known and 'scale' in step:
            scale = step['scale']
            scale = [scale, scale] if isinstance(scale, int) else list(scale)
            resize = dict(scale=scale, keep_ratio=bool(step.get('keep_ratio', False)))
        elif kind not in _LOADING:
            raise ExportError(f'The test pipeline has the step {dict(step)}, which what runs '
                              'exported models does not know: one Resize with scale and keep_ratio '
                              'is all that may stand between loading and packing.')
    return resize


def _preprocessing(preprocessor: nn.Module) -> dict[str, Any]:
    """Normalisation and padding of mmseg's data preprocessor."""
    if getattr(preprocessor, 'channel_conversion', None) is None and not hasattr(
            preprocessor, '_channel_conversion'):
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


def _grouper(model: nn.Module) -> dict[str, Any]:
    grouper = dict((model.cfg.get('model') or {}).get('grouper') or dict(type='PixelBoxGrouper'))
    grouper['type'] = str(grouper['type']).split('.')[-1]
    if grouper['type'] not in GROUPERS:
        raise ExportError(f'{grouper["type"]} is a grouper of your own, which what runs exported '
                          f'models does not know; it knows {", ".join(GROUPERS)}.')
    return grouper
