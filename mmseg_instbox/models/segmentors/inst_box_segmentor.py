import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS, TASK_UTILS
from mmseg.utils import ConfigType, OptConfigType, SampleList, add_prefix
from torch import Tensor

from ...core import VOID
from ...core.dense_prediction import check_test_cfg
from ...errors import InvalidInputError
from .cell_predictor import CellPredictor

# decode heads of the usual kind by name only: their output comes of no feature grid of their own
_OTHER_OUTPUT = dict(
    SideAdapterCLIPHead='classifies masks, not pixels', VPDDepthHead='estimates depth')


@MODELS.register_module()
class InstBoxSegmentor(CellPredictor, EncoderDecoder):
    """An mmseg segmentor with a pixel-wise box head: semantic and instance segmentation in one
    pass.

    Everything that :class:`mmseg.models.EncoderDecoder` takes stays as it is. Boxes stay on the
    feature grid to the end; only category logits and masks reach image resolution.

    Args:
        box_head: Config of the box head; it gets the same features as the decode head.
        grouper: Config of the grouper.
        thing_ids: Indices of the categories that have instances; all but 0 (background) by default.
        train_cfg: With ``label_shift=s``, every iteration moves images and labels together by 0 to
            s pixels against the feature grid, the training form of ``shifts``; images grow by s, so
            it should be a multiple of the feature stride. 0 by default; random crops do the same.
        test_cfg: ``mode='whole'`` or ``mode='slide'`` with ``crop_size`` and ``stride``, the height
            and width of tiles and the steps between them in pixels, rounded to the feature stride.
            With ``shifts=k``, k x k shifted copies of the image simulate a network of a k times
            finer feature stride, in either mode. With ``keep_boxes=True`` predictions also carry
            ``pred_boxes`` ``(4, h, w)`` and ``pred_probs`` ``(C, h, w)``, so that they can be
            grouped again. With ``keep_logits=False`` they carry no ``seg_logits``, which are 1 GB
            of 21 categories and 12 million pixels; the category map is made without them.
        data_preprocessor: Config; mmseg's ``SegDataPreProcessor`` becomes our
            ``InstBoxDataPreProcessor``, which extends it by instance maps.
        **kwargs: Arguments of ``EncoderDecoder``.

    Raises:
        ValueError: A category that does not exist, a decode head that scores no categories pixel by
            pixel (masks, cascades) or with one channel (sigmoid), or a ``test_cfg`` that cannot be.
    """

    def __init__(self,
                 backbone: ConfigType,
                 decode_head: ConfigType,
                 box_head: ConfigType,
                 grouper: ConfigType = dict(type='PixelBoxGrouper'),
                 thing_ids: list[int] | None = None,
                 train_cfg: ConfigType | None = None,
                 test_cfg: ConfigType | None = None,
                 data_preprocessor: OptConfigType = None,
                 **kwargs) -> None:
        check_decode_head(decode_head)
        super().__init__(
            backbone,
            decode_head,
            data_preprocessor=with_instance_maps(data_preprocessor),
            train_cfg=train_cfg or dict(),
            test_cfg=test_cfg or dict(mode='whole'),
            **kwargs)
        # Swin and the MobileNets freeze stages in it; DistributedDataParallel has to see that
        self.backbone.train()
        self.box_head = MODELS.build(box_head)
        self.grouper = TASK_UTILS.build(grouper)
        self.thing_ids = list(range(1, self.num_classes) if thing_ids is None else thing_ids)
        if not self.thing_ids or not set(self.thing_ids) <= set(range(self.num_classes)):
            raise InvalidInputError(f'thing_ids must be indices of the {self.num_classes} '
                                    f'categories, got {self.thing_ids}')
        if self.out_channels == 1:
            raise InvalidInputError('InstBoxSegmentor needs a softmax decode head: set '
                                    'out_channels=2 for two categories instead of out_channels=1')
        check_test_cfg(self.test_cfg)
        if getattr(self.data_preprocessor, 'channels_last', False):
            self.to(memory_format=torch.channels_last)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Losses of all heads, moved against the feature grid if ``train_cfg.label_shift`` says so.

        Args:
            inputs: ``(N, 3, H, W)``.
            data_samples: With ``gt_sem_seg``, ``gt_inst_map`` and ``gt_instances`` in pixels of
                ``inputs``.
        """
        shift = self.train_cfg.get('label_shift', 0)
        if shift:
            offset = torch.randint(shift + 1, (2, )).tolist()
            inputs, data_samples = shift_training_batch(inputs, data_samples, offset, shift)
        feats = self.extract_feat(inputs)
        losses = self._decode_head_forward_train(feats, data_samples)
        box_feats = self.extract_box_feat(inputs, feats)
        losses |= add_prefix(self.box_head.loss(box_feats, data_samples, self.train_cfg), 'box')
        if self.with_auxiliary_head:
            losses |= self._auxiliary_head_forward_train(feats, data_samples)
        return losses

    def extract_box_feat(self, inputs: Tensor, feats: tuple[Tensor]) -> tuple[Tensor]:
        """What the box head sees of images ``(N, 3, H, W)``: the features of the decode head."""
        return feats

    def forward_dense(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and boxes of one pass of the network, as :class:`.DensePredictor` has them."""
        feats = self.extract_feat(inputs)
        boxes = self.box_head.predict(self.extract_box_feat(inputs, feats), inputs.shape[-2:])
        return category_logits(self.decode_head, feats).float(), boxes


def check_decode_head(decode_head: ConfigType) -> None:
    """Raises a ValueError for the config of a decode head that gives no logits for each cell of a
    feature grid: a cascade, a head that classifies masks (Mask2Former) or does something else."""
    hint = ('InstBoxSegmentor groups the pixels of a category, so it takes one decode head that '
            "scores categories pixel by pixel, such as FCNHead or mmseg's UPerHead")
    if isinstance(decode_head, list | tuple):
        raise InvalidInputError(f'decode_head is a cascade of {len(decode_head)} heads; {hint}. '
                                'Give one of them as decode_head and the others, if they stand '
                                'alone, as auxiliary_head.')
    kind = decode_head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if kind is None:
        return  # the registry says that it is unknown
    if issubclass(kind, BaseCascadeDecodeHead):
        problem = 'refines what another head of a cascade gives'
    elif issubclass(kind, BaseDecodeHead):
        problem = _OTHER_OUTPUT.get(kind.__name__)
    else:
        problem = 'classifies masks, not pixels'
    if problem:
        raise InvalidInputError(f'{kind.__name__} {problem}; {hint}.')


def with_instance_maps(data_preprocessor: OptConfigType) -> OptConfigType:
    """The config of a data preprocessor, mmseg's ``SegDataPreProcessor`` replaced by
    :class:`.InstBoxDataPreProcessor`, which takes the same arguments."""
    kind = data_preprocessor.get('type') if isinstance(data_preprocessor, dict) else None
    if getattr(kind, '__name__', kind) not in ('SegDataPreProcessor', 'mmseg.SegDataPreProcessor'):
        return data_preprocessor
    return {**data_preprocessor, 'type': 'InstBoxDataPreProcessor'}


def category_logits(decode_head: BaseDecodeHead, feats: tuple[Tensor]) -> Tensor:
    """Category logits ``(N, C, h, w)`` on the head's own grid."""
    output = decode_head(feats)  # heads with several (DAHead, EncHead) put their logits first
    return output if isinstance(output, Tensor) else output[0]


def shift_training_batch(inputs: Tensor, data_samples: SampleList, offset: tuple[int, int],
                         growth: int) -> tuple[Tensor, SampleList]:
    """Moves images and ground truth together against the feature grid: the training form of
    shifted copies.

    Nothing is cut off, so every box stays that of its object: images ``(N, 3, H, W)`` grow by
    ``growth`` pixels a side, with zeros around them and void around the maps of new samples.
    ``offset`` y, x from 0 to ``growth`` is how far they move down and right.
    """
    y, x = offset
    padding = (x, growth - x, y, growth - y)
    samples = []
    for sample in data_samples:
        shifted = sample.new()
        for name, field in sample.items():
            if isinstance(field, PixelData) and name.startswith('gt_'):
                shifted.set_data({name: PixelData(data=F.pad(field.data, padding, value=VOID))})
        if 'gt_instances' in sample:
            boxes = sample.gt_instances.bboxes
            shifted.gt_instances = sample.gt_instances.clone()
            shifted.gt_instances.bboxes = boxes + boxes.new_tensor([x, y, x, y])
        samples.append(shifted)
    return F.pad(inputs, padding), samples
