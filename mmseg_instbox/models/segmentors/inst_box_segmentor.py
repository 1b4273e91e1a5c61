from functools import partial

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS, TASK_UTILS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, OptConfigType, OptSampleList, SampleList, add_prefix
from torch import Tensor
from torch.nn import functional as F

from ..task_modules.feature_grid import resize_to_extent
from ..task_modules.painting import best_categories
from .dense_prediction import DensePrediction, flipped_dims, move_padding, to_original
from .mmseg_parts import carry_instances, category_logits, check_decode_head
from .shifted_copies import feature_strides, forward_shifted, shift_training_batch
from .tiles import forward_tiled


@MODELS.register_module()
class InstBoxSegmentor(EncoderDecoder):
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
        self._strides: tuple[int, int] | None = None
        self._check()

    def _check(self) -> None:
        if not self.thing_ids or not set(self.thing_ids) <= set(range(self.num_classes)):
            raise ValueError(f'thing_ids must be indices of the {self.num_classes} categories, got '
                             f'{self.thing_ids}')
        if self.out_channels == 1:
            raise ValueError('InstBoxSegmentor needs a softmax decode head: set out_channels=2 '
                             'for two categories instead of out_channels=1')
        shift = self.train_cfg.get('label_shift', 0)
        if not isinstance(shift, int) or shift < 0:
            raise ValueError(f'train_cfg.label_shift is a number of pixels, got {shift!r}')
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

    def predict_dense(self, inputs: Tensor,
                      data_samples: OptSampleList = None) -> list[DensePrediction]:
        """Categories and boxes of each cell, as ``test_cfg`` says, without grouping.

        Args:
            inputs: ``(N, 3, H, W)``, padded at the right and bottom only.
            data_samples: Their ``img_shape`` (without padding), ``ori_shape``, ``flip`` and
                ``flip_direction`` are read; missing sizes mean that of ``inputs``.

        Returns:
            list[DensePrediction]: In pixels of the original images, mirror images mapped back.

        Raises:
            ValueError: ``test_cfg.shifts`` or ``mode='slide'`` and a network whose feature stride
                does not allow it, or an unknown direction of flipping.
        """
        metainfos = [sample.metainfo for sample in data_samples or []] or [{}] * len(inputs)
        full_shape = tuple(inputs.shape[-2:])
        metainfos = [dict(img_shape=full_shape) | meta for meta in metainfos]
        mode, shifts = self.test_cfg.get('mode', 'whole'), self.test_cfg.get('shifts', 1)
        forward = self.forward_dense
        if mode == 'slide' or shifts > 1:
            strides = self._find_strides(inputs)
            inputs = _pad_to_multiple(inputs, max(strides))
            if mode == 'slide':
                forward = partial(forward_tiled, forward, crop_size=self.test_cfg['crop_size'],
                                  step=self.test_cfg['stride'], stride=max(strides))
            if shifts > 1:
                forward = partial(forward_shifted, forward, stride=strides[1], num=shifts)
        logits, boxes = forward(_align_flipped(inputs, metainfos))
        input_shape = tuple(inputs.shape[-2:])
        return [to_original(logit, box, input_shape, meta)
                for logit, box, meta in zip(logits, boxes, metainfos, strict=True)]

    def _find_strides(self, inputs: Tensor) -> tuple[int, int]:
        if self._strides is None:
            self._strides = feature_strides(self.forward_dense, inputs)
        return self._strides

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Category map and instances of a batch.

        Args:
            inputs: ``(N, 3, H, W)``, padded at the right and bottom only.
            data_samples: As for :meth:`predict_dense`, whose errors are raised.

        Returns:
            list[SegDataSample]: The samples with ``seg_logits``, ``pred_sem_seg`` and
            ``pred_instances`` at original size.
        """
        dense = self.predict_dense(inputs, data_samples)
        del inputs  # the largest tensor, if the caller holds it no longer
        data_samples = data_samples or [SegDataSample() for _ in dense]
        for sample, each in zip(data_samples, dense, strict=True):
            size = (each.logits_extent, each.ori_shape)
            if self.test_cfg.get('keep_logits', True):
                self.group(sample, resize_to_extent(each.logits, *size), each)
            else:
                self._group_cells(sample, best_categories(each.logits, *size), each)
        return data_samples

    def group(self, sample: SegDataSample, seg_logits: Tensor, dense: DensePrediction) -> None:
        """Groups the cells of an image and writes all predictions on its sample.

        Args:
            sample: Changed in place.
            seg_logits: ``(C, H, W)`` category scores at original size.
            dense: Its ``scores`` and ``boxes`` are grouped.
        """
        sample.seg_logits = PixelData(data=seg_logits)
        self._group_cells(sample, seg_logits.argmax(dim=0), dense)

    def _group_cells(self, sample: SegDataSample, seg_map: Tensor, dense: DensePrediction) -> None:
        """Writes the category map ``(H, W)`` int64 and the instances on a sample."""
        sample.pred_sem_seg = PixelData(data=seg_map[None])
        sample.pred_instances = self.grouper(dense.scores, dense.boxes, dense.ori_shape,
                                             self.thing_ids, dense.extent, seg_map)
        if self.test_cfg.get('keep_boxes', False):
            sample.pred_boxes = PixelData(data=dense.boxes)
            sample.pred_scores = PixelData(data=dense.scores)
            sample.set_metainfo(dict(grid_extent=dense.extent))


def check_test_cfg(test_cfg: ConfigType) -> None:
    """Raises a ValueError for settings of ``InstBoxSegmentor.test_cfg`` that cannot be."""
    mode, shifts = test_cfg.get('mode', 'whole'), test_cfg.get('shifts', 1)
    if mode not in ('whole', 'slide'):
        raise ValueError(f"test_cfg.mode is 'whole' or 'slide', got {mode!r}")
    if not isinstance(shifts, int) or shifts < 1:
        raise ValueError('test_cfg.shifts is a number of copies a direction, 1 or more, got '
                         f'{shifts!r}')
    if mode == 'whole':
        return
    sizes = [test_cfg.get(key) for key in ('crop_size', 'stride')]
    if not all(_is_pair(size) for size in sizes):
        raise ValueError("test_cfg of mode='slide' needs crop_size=(height, width) and "
                         f'stride=(down, right) in pixels, got crop_size={sizes[0]!r} and '
                         f'stride={sizes[1]!r}')
    if any(step > size for size, step in zip(*sizes, strict=True)):
        raise ValueError(f'test_cfg.stride {sizes[1]} leaves gaps between tiles of crop_size '
                         f'{sizes[0]}: it must not be larger')


def _is_pair(size: object) -> bool:
    """Whether this is a height and a width of whole positive pixels."""
    return (isinstance(size, (tuple, list)) and len(size) == 2
            and all(isinstance(side, int) and side > 0 for side in size))


def _pad_to_multiple(inputs: Tensor, divisor: int) -> Tensor:
    """Pads height and width of ``(N, 3, H, W)`` with zeros, at the bottom and right."""
    height, width = inputs.shape[-2:]
    return F.pad(inputs, (0, -width % divisor, 0, -height % divisor))


def _align_flipped(inputs: Tensor, metainfos: list[dict]) -> Tensor:
    """Moves the padding of mirror images, see :func:`.dense_prediction.move_padding`."""
    dims = [flipped_dims(meta) for meta in metainfos]
    if not any(dims):
        return inputs
    return torch.stack([move_padding(image, meta['img_shape'], dim) if dim else image
                        for image, meta, dim in zip(inputs, metainfos, dims, strict=True)])
