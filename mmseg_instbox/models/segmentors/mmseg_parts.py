"""What an mmseg config says, as a segmentor with boxes takes it."""
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptConfigType
from torch import Tensor

from mmseg_instbox.errors import InvalidInputError

# decode heads of the usual kind by name only: their scores come of no feature grid of their own
_OTHER_OUTPUT = dict(
    SideAdapterCLIPHead='classifies masks, not pixels', VPDDepthHead='estimates depth')


def check_decode_head(decode_head: ConfigType) -> None:
    """Refuse a decode head that gives no category scores for each cell of a feature grid.

    Args:
        decode_head: Its config. A type that is unknown here is left to the registry.

    Raises:
        ValueError: A cascade, or a head that classifies masks (Mask2Former, MaskFormer) or does
            something else than classify pixels.
    """
    hint = ('InstBoxSegmentor groups the pixels of a category, so it takes one decode head that '
            "scores categories pixel by pixel, such as FCNHead or mmseg's UPerHead")
    if isinstance(decode_head, list | tuple):
        raise InvalidInputError(f'decode_head is a cascade of {len(decode_head)} heads; {hint}. '
                                'Give one of them as decode_head and the others, if they stand '
                                'alone, as auxiliary_head.')
    kind = decode_head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if kind is None:
        return
    if issubclass(kind, BaseCascadeDecodeHead):
        raise InvalidInputError(f'{kind.__name__} refines what another head of a cascade gives; '
                                f'{hint}.')
    if not issubclass(kind, BaseDecodeHead) or kind.__name__ in _OTHER_OUTPUT:
        reason = _OTHER_OUTPUT.get(kind.__name__, 'classifies masks, not pixels')
        raise InvalidInputError(f'{kind.__name__} {reason}; {hint}.')


def carry_instances(data_preprocessor: OptConfigType) -> OptConfigType:
    """The config of a data preprocessor that pads instance maps, too.

    mmseg's ``SegDataPreProcessor`` becomes :class:`.InstBoxDataPreProcessor`, which extends it and
    takes the same arguments; anything else stays.
    """
    if not isinstance(data_preprocessor, dict):
        return data_preprocessor
    kind = data_preprocessor.get('type')
    kind = kind if isinstance(kind, str) else getattr(kind, '__name__', None)
    if kind not in ('SegDataPreProcessor', 'mmseg.SegDataPreProcessor'):
        return data_preprocessor
    return {**data_preprocessor, 'type': 'InstBoxDataPreProcessor'}


def category_logits(decode_head: BaseDecodeHead, feats: tuple[Tensor]) -> Tensor:
    """Category scores ``(N, C, h, w)`` on the head's own grid.

    Heads with several outputs (``DAHead``, ``EncHead``) put their scores first.
    """
    output = decode_head(feats)
    return output if isinstance(output, Tensor) else output[0]
