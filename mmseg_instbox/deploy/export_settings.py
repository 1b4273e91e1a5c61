"""The settings of an exported model beside its graph; they are stored in the file as JSON."""
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from ..core.dense_prediction import check_test_cfg
from ..core.groupers import GROUPERS, build_grouper
from ..errors import BrokenExportError, ExportError, InvalidInputError

VERSION = 1
_TEST_CFG = ('mode', 'crop_size', 'stride', 'shifts')
_LOADING = ('LoadImageFromFile', 'LoadInstImage', 'LoadImageFromNDArray', 'LoadAnnotations',
            'LoadInstAnnotations', 'PackSegInputs', 'PackInstInputs')


@dataclass(frozen=True)
class ExportSettings:
    """How images become the graph's input, and its outputs instances.

    Attributes:
        dataset_meta: ``classes`` (C names), ``palette`` (C RGB values), ``thing_classes``.
        thing_ids: Indices of the categories that have instances.
        mean: Of the three channels, subtracted from pixels of 0 to 255.
        std: Of the three channels, divides the difference.
        bgr_to_rgb: Whether the channels of ``mean`` and the graph are RGB instead of BGR.
        padding: ``size_divisor`` or ``size`` (H, W) to which inputs are padded at the right and
            bottom, and ``value`` of the padding, after normalisation.
        resize: ``scale`` (w, h) and ``keep_ratio`` of MMCV's ``Resize``; None keeps the size.
        test_cfg: ``mode``, ``crop_size``, ``stride`` and ``shifts`` of ``InstBoxSegmentor``.
        grouper: Config of the grouper.
    """
    dataset_meta: dict[str, Any]
    thing_ids: list[int]
    mean: list[float]
    std: list[float]
    bgr_to_rgb: bool
    padding: dict[str, Any]
    resize: dict[str, Any] | None
    test_cfg: dict[str, Any]
    grouper: dict[str, Any]

    def to_json(self) -> str:
        """Returns the settings as JSON."""
        return json.dumps(dict(asdict(self), version=VERSION), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str) -> 'ExportSettings':
        """Reads settings from JSON.

        Args:
            text: What :meth:`to_json` returned.
            source: The file, for the error.

        Raises:
            ValueError: The text is of another version, or a value is invalid.
        """
        try:
            content = json.loads(text)
            version = content.pop('version')
            settings = cls(**content) if version == VERSION else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BrokenExportError(f'{source}: the settings in it cannot be read; export the '
                                    'model again.') from error
        if settings is None:
            raise BrokenExportError(f'{source}: its settings are of version {version!r}, expected '
                                    f'{VERSION}; export the model again.')
        settings.check(source)
        return settings

    def check(self, source: str) -> None:
        """Raises a ValueError that names ``source`` if a value is invalid."""
        for name, fits in _CHECKS.items():
            try:
                found = fits(self)
            except (TypeError, KeyError, AttributeError, ValueError):
                found = False
            if not found:
                raise BrokenExportError(f'{source}: its settings have an invalid {name}; export '
                                        'the model again.')
        try:
            check_test_cfg(self.test_cfg)
            build_grouper(self.grouper)
        except InvalidInputError as error:
            raise BrokenExportError(f'{source}: {error}') from error


def _numbers(values: Any, count: int | None = None) -> bool:
    """Whether these are finite numbers, as many as ``count`` says."""
    return (isinstance(values, list) and count in (None, len(values))
            and all(type(each) in (int, float) and abs(each) < 1e9 for each in values))


def _sides(values: Any) -> bool:
    """Whether these are two sides of an image."""
    return _numbers(values, 2) and all(type(side) is int and 1 <= side < 1e5 for side in values)


def _valid_meta(settings: ExportSettings) -> bool:
    meta = settings.dataset_meta
    classes, palette = meta['classes'], meta['palette']
    return (len(classes) == len(palette) > 1
            and all(isinstance(name, str) for name in [*classes, *meta['thing_classes']])
            and all(_numbers(colour, 3) and 0 <= min(colour) and max(colour) <= 255
                    for colour in palette)
            and list(meta['thing_classes']) == [classes[index] for index in settings.thing_ids])


def _valid_things(settings: ExportSettings) -> bool:
    ids, num = settings.thing_ids, len(settings.dataset_meta['classes'])
    return bool(ids) and _numbers(ids) and all(type(i) is int and 0 <= i < num for i in ids)


def _valid_padding(settings: ExportSettings) -> bool:
    padding = settings.padding
    if set(padding) == {'size', 'value'}:
        return _sides(padding['size']) and _numbers([padding['value']])
    divisor = padding['size_divisor']
    return (set(padding) == {'size_divisor', 'value'} and type(divisor) is int
            and 1 <= divisor <= 4096 and _numbers([padding['value']]))


def _valid_resize(settings: ExportSettings) -> bool:
    resize = settings.resize
    return resize is None or (set(resize) == {'scale', 'keep_ratio'} and _sides(resize['scale'])
                              and isinstance(resize['keep_ratio'], bool))


def _valid_test_cfg(settings: ExportSettings) -> bool:
    return (isinstance(settings.test_cfg, dict)
            and set(settings.test_cfg) <= {'mode', 'crop_size', 'stride', 'shifts'})


_CHECKS: dict[str, Callable[[ExportSettings], bool]] = dict(
    thing_ids=_valid_things,
    dataset_meta=_valid_meta,
    mean=lambda settings: _numbers(settings.mean, 3),
    std=lambda settings: _numbers(settings.std, 3) and min(settings.std) > 0,
    bgr_to_rgb=lambda settings: isinstance(settings.bgr_to_rgb, bool),
    padding=_valid_padding,
    resize=_valid_resize,
    test_cfg=_valid_test_cfg,
    grouper=lambda settings: isinstance(settings.grouper['type'], str))


def settings_of(model: nn.Module) -> ExportSettings:
    """Collects the settings of a model from its config.

    Args:
        model: As ``load_model`` returns it, with ``cfg`` and ``dataset_meta``.

    Raises:
        ValueError: The model finds no instances, its grouper is not one of ours, or its test
            pipeline has a step that exported models do not support.
    """
    if not hasattr(model, 'forward_dense'):
        raise ExportError(f'{type(model).__name__} finds no instances: only an InstBoxSegmentor '
                          'can be exported.')
    meta = dict(model.dataset_meta)
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
    """Returns how the test pipeline scales images."""
    resize = None
    for step in pipeline:
        kind = str(step['type']).split('.')[-1]
        known = kind == 'Resize' and resize is None and set(step) <= {'type', 'scale', 'keep_ratio'}
        if known and 'scale' in step:
            scale = step['scale']
            scale = [scale, scale] if isinstance(scale, int) else list(scale)
            resize = dict(scale=scale, keep_ratio=bool(step.get('keep_ratio', False)))
        elif kind not in _LOADING:
            raise ExportError(f'The test pipeline has the step {dict(step)}, which exported models '
                              'do not support: only one Resize with scale and keep_ratio may be '
                              'between loading and packing.')
    return resize


def _preprocessing(preprocessor: nn.Module) -> dict[str, Any]:
    """Returns normalisation and padding of mmseg's data preprocessor."""
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
        raise ExportError(f'{grouper["type"]} is a custom grouper, which exported models do not '
                          f'support; they support {", ".join(GROUPERS)}.')
    return grouper
