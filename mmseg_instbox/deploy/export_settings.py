"""What an exported model needs to know beside its graph; it travels in the file as JSON."""
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ..core.groupers import build_grouper
from ..core.predict_dense import check_test_cfg
from ..errors import BrokenExportError, InvalidInputError

VERSION = 1


@dataclass(frozen=True)
class ExportSettings:
    """How pictures become the graph's input, and its outputs instances.

    Attributes:
        dataset_meta: ``classes`` (C names), ``palette`` (C RGB values), ``thing_classes``.
        thing_ids: Indices of the categories that have instances.
        mean: Of the three channels, subtracted from pixels of 0 to 255.
        std: Divides what is left.
        bgr_to_rgb: Whether the channels are RGB, as those of the ``mean`` are, instead of BGR.
        padding: ``size_divisor`` or ``size`` (H, W) to which inputs are padded at the right and
            bottom, and ``value``, of what is put there after normalisation.
        resize: ``scale`` (w, h) and ``keep_ratio`` as of MMCV's ``Resize``; None leaves the size.
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
        """The settings as text."""
        return json.dumps(dict(asdict(self), version=VERSION), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str) -> 'ExportSettings':
        """The settings of a text.

        Args:
            text: Of :meth:`to_json`.
            source: The file, for the error.

        Raises:
            ValueError: The text is none of this version's, or a value cannot be.
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
        """Raises a ValueError that names ``source`` unless all values can be."""
        for name, fits in _CHECKS.items():
            try:
                found = fits(self)
            except (TypeError, KeyError, AttributeError, ValueError):
                found = False
            if not found:
                raise BrokenExportError(f'{source}: its settings have an impossible {name}; export '
                                        'the model again.')
        try:
            check_test_cfg(self.test_cfg)
            build_grouper(self.grouper)
        except InvalidInputError as error:
            raise BrokenExportError(f'{source}: {error}') from error


def _numbers(values: Any, count: int | None = None) -> bool:
    """Whether these are so many finite numbers."""
    return (isinstance(values, list) and count in (None, len(values))
            and all(type(each) in (int, float) and abs(each) < 1e9 for each in values))


def _sides(values: Any) -> bool:
    """Whether these are two sizes of pictures."""
    return _numbers(values, 2) and all(type(side) is int and 1 <= side < 1e5 for side in values)


def _meta(settings: ExportSettings) -> bool:
    meta = settings.dataset_meta
    classes, palette = meta['classes'], meta['palette']
    return (len(classes) == len(palette) > 1
            and all(isinstance(name, str) for name in [*classes, *meta['thing_classes']])
            and all(_numbers(colour, 3) and 0 <= min(colour) and max(colour) <= 255
                    for colour in palette)
            and list(meta['thing_classes']) == [classes[index] for index in settings.thing_ids])


def _things(settings: ExportSettings) -> bool:
    ids, num = settings.thing_ids, len(settings.dataset_meta['classes'])
    return bool(ids) and _numbers(ids) and all(type(i) is int and 0 <= i < num for i in ids)


def _padding(settings: ExportSettings) -> bool:
    padding = settings.padding
    if set(padding) == {'size', 'value'}:
        return _sides(padding['size']) and _numbers([padding['value']])
    divisor = padding['size_divisor']
    return (set(padding) == {'size_divisor', 'value'} and type(divisor) is int
            and 1 <= divisor <= 4096 and _numbers([padding['value']]))


def _resize(settings: ExportSettings) -> bool:
    resize = settings.resize
    return resize is None or (set(resize) == {'scale', 'keep_ratio'} and _sides(resize['scale'])
                              and isinstance(resize['keep_ratio'], bool))


def _test_cfg(settings: ExportSettings) -> bool:
    return (isinstance(settings.test_cfg, dict)
            and set(settings.test_cfg) <= {'mode', 'crop_size', 'stride', 'shifts'})


_CHECKS: dict[str, Callable[[ExportSettings], bool]] = dict(
    thing_ids=_things,
    dataset_meta=_meta,
    mean=lambda settings: _numbers(settings.mean, 3),
    std=lambda settings: _numbers(settings.std, 3) and min(settings.std) > 0,
    bgr_to_rgb=lambda settings: isinstance(settings.bgr_to_rgb, bool),
    padding=_padding,
    resize=_resize,
    test_cfg=_test_cfg,
    grouper=lambda settings: isinstance(settings.grouper['type'], str))
