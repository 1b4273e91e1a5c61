import copy

import torch
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptConfigType
from torch import Tensor, nn

from .inst_box_segmentor import InstBoxSegmentor


@MODELS.register_module()
class LocaliserSegmentor(InstBoxSegmentor):
    """An :class:`InstBoxSegmentor` whose localiser is trained apart (paper, section 3.2).

    The box head may have a backbone of its own, of the category network's kind, and the category
    network may be frozen. A checkpoint that holds a backbone and none for boxes, such as that of a
    category network (``load_from``), initialises both backbones.

    Args:
        backbone: Config of the backbone; with ``own_backbone`` a second one is built from it.
        neck: Config of the neck; likewise.
        own_backbone: Whether the box head has a backbone (and neck) of its own.
        freeze_categories: Whether the category network stays as it was loaded: no losses, no
            gradients, nothing kept of its forward pass, batch normalisation in eval mode. Without a
            backbone of its own the box head then learns alone.
        **kwargs: Arguments of ``InstBoxSegmentor``.
    """

    def __init__(self,
                 backbone: ConfigType,
                 neck: OptConfigType = None,
                 own_backbone: bool = True,
                 freeze_categories: bool = False,
                 **kwargs) -> None:
        own = copy.deepcopy((backbone, neck)) if own_backbone else None
        if own_backbone and kwargs.get('pretrained'):
            own[0]['pretrained'] = kwargs['pretrained']
        super().__init__(backbone, neck=neck, **kwargs)
        self.own_backbone = own_backbone
        self.freeze_categories = freeze_categories
        if own_backbone:
            self.box_backbone = MODELS.build(own[0])
            self.box_backbone.train()  # as in the parent
            self.box_neck = nn.Identity() if neck is None else MODELS.build(own[1])
        if freeze_categories:
            for part in self._category_parts():
                part.requires_grad_(False)

    def _category_parts(self) -> list[nn.Module]:
        """The modules of the category network."""
        names = ('backbone', 'neck', 'decode_head', 'auxiliary_head')
        return [getattr(self, name) for name in names if hasattr(self, name)]

    def train(self, mode: bool = True) -> 'LocaliserSegmentor':
        """Training mode, for the parts that are not frozen."""
        super().train(mode)
        if self.freeze_categories:
            for part in self._category_parts():
                part.train(False)
        return self

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor]:
        """Features of ``(N, 3, H, W)`` images for the category heads."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_categories):
            return super().extract_feat(inputs)

    def extract_box_feat(self, inputs: Tensor, feats: tuple[Tensor]) -> tuple[Tensor]:
        """What the box head sees: the features of its own backbone and neck, if it has them."""
        return self.box_neck(self.box_backbone(inputs)) if self.own_backbone else feats

    def _decode_head_forward_train(self, *args) -> dict:
        """Losses of the decode head unless it is frozen."""
        return {} if self.freeze_categories else super()._decode_head_forward_train(*args)

    def _auxiliary_head_forward_train(self, *args) -> dict:
        """Losses of the auxiliary heads unless they are frozen."""
        return {} if self.freeze_categories else super()._auxiliary_head_forward_train(*args)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """The parent's, after giving the second backbone the weights of the only one there is."""
        if self.own_backbone and not any(key.startswith(f'{prefix}box_backbone.')
                                         for key in state_dict):
            for key in list(state_dict):
                if key.startswith((f'{prefix}backbone.', f'{prefix}neck.')):
                    state_dict[f'{prefix}box_{key[len(prefix):]}'] = state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *args)
