import torch
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS, TASK_UTILS
from mmseg.utils import ConfigType, OptConfigType, SampleList, add_prefix
from torch import Tensor

from mmseg_instbox.core.predict_dense import check_test_cfg
from mmseg_instbox.errors import InvalidInputError

from .cell_predictor import CellPredictor
from .label_shift import shift_training_batch
from .mmseg_parts import carry_instances, category_logits, check_decode_head


@MODELS.register_module()
class InstBoxSegmentor(CellPredictor, EncoderDecoder):
    """An mmseg segmentor with a pixel-wise box head: semantic and instance segmentation in one
    pass.

    Everything that :class:`mmseg.models.EncoderDecoder` takes stays as it is. Boxes stay on the
    feature grid to the end; only category scores and masks reach image resolution.

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
            ``pred_boxes`` ``(4, h, w)`` and ``pred_scores`` ``(C, h, w)``, so that they can be
            grouped again. With ``keep_logits=False`` they carry no ``seg_logits``, and the category
            map is made strip by strip: 21 categories of 12 million pixels are 1 GB.
        data_preprocessor: Config; mmseg's ``SegDataPreProcessor`` becomes our
            ``InstBoxDataPreProcessor``, which extends it by instance maps.
        **kwargs: Arguments of ``EncoderDecoder``.

    Raises:
        ValueError: A category that does not exist, a decode head that scores no categories pixel by
            pixel (masks, cascades) or with one channel (sigmoid), or settings of ``train_cfg`` or
            ``test_cfg`` that cannot be.
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
            data_preprocessor=carry_instances(data_preprocessor),
            train_cfg=train_cfg or dict(),
            test_cfg=test_cfg or dict(mode='whole'),
            **kwargs)
        self.box_head = MODELS.build(box_head)
        self.grouper = TASK_UTILS.build(grouper)
        self.thing_ids = list(range(1, self.num_classes) if thing_ids is None else thing_ids)
        self._check()
        if getattr(self.data_preprocessor, 'channels_last', False):
            self.to(memory_format=torch.channels_last)

    def _check(self) -> None:
        if not self.thing_ids or not set(self.thing_ids) <= set(range(self.num_classes)):
            raise InvalidInputError(f'thing_ids must be indices of the {self.num_classes} '
                                    f'categories, got {self.thing_ids}')
        if self.out_channels == 1:
            raise InvalidInputError('InstBoxSegmentor needs a softmax decode head: set '
                                    'out_channels=2 for two categories instead of out_channels=1')
        shift = self.train_cfg.get('label_shift', 0)
        if not isinstance(shift, int) or shift < 0:
            raise InvalidInputError(f'train_cfg.label_shift is a number of pixels, got {shift!r}')
        check_test_cfg(self.test_cfg)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Losses of a batch, moved against the feature grid if ``train_cfg.label_shift`` says so.

        Args:
            inputs: ``(N, 3, H, W)``.
            data_samples: With ``gt_sem_seg``, ``gt_inst_map`` and ``gt_instances`` in pixels of
                ``inputs``.

        Returns:
            dict[str, Tensor]: The losses of all heads.
        """
        shift = self.train_cfg.get('label_shift', 0)
        if shift:
            offset = torch.randint(shift + 1, (2, )).tolist()
            inputs, data_samples = shift_training_batch(inputs, data_samples, offset, shift)
        return super().loss(inputs, data_samples)

    def _decode_head_forward_train(self, inputs: list[Tensor], data_samples: SampleList) -> dict:
        """Losses of the decode head and of the box head."""
        losses = super()._decode_head_forward_train(inputs, data_samples)
        loss_box = self.box_head.loss(inputs, data_samples, self.train_cfg)
        losses.update(add_prefix(loss_box, 'box'))
        return losses

    def forward_dense(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Category scores and boxes on their feature grids: one pass of the network.

        Args:
            inputs: ``(N, 3, H, W)``.

        Returns:
            tuple: ``(N, C, h, w)`` logits and ``(N, 4, h', w')`` boxes in pixels of ``inputs``.
        """
        feats = self.extract_feat(inputs)
        boxes = self.box_head.predict(feats, inputs.shape[-2:])
        return category_logits(self.decode_head, feats).float(), boxes
