import math

from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS, TASK_UTILS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, OptSampleList, SampleList, add_prefix
from torch import Tensor

from ..task_modules.feature_grid import resize_to_extent


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
        test_cfg: ``mode='whole'``; with ``keep_boxes=True`` predictions also carry ``pred_boxes``
            ``(4, h, w)`` and ``pred_scores`` ``(C, h, w)``, so that they can be grouped again.
        **kwargs: Arguments of ``EncoderDecoder``.

    Raises:
        ValueError: A category that does not exist, a sigmoid (one channel) decode head, or a test
            mode other than ``'whole'``.
    """

    def __init__(self,
                 backbone: ConfigType,
                 decode_head: ConfigType,
                 box_head: ConfigType,
                 grouper: ConfigType = dict(type='PixelBoxGrouper'),
                 thing_ids: list[int] | None = None,
                 test_cfg: ConfigType | None = None,
                 **kwargs) -> None:
        test_cfg = test_cfg or dict(mode='whole')
        super().__init__(backbone, decode_head, test_cfg=test_cfg, **kwargs)
        self.box_head = MODELS.build(box_head)
        self.grouper = TASK_UTILS.build(grouper)
        self.thing_ids = list(range(1, self.num_classes) if thing_ids is None else thing_ids)
        self._check()

    def _check(self) -> None:
        if not self.thing_ids or not set(self.thing_ids) <= set(range(self.num_classes)):
            raise ValueError(f'thing_ids must be indices of the {self.num_classes} categories, got '
                             f'{self.thing_ids}')
        if self.out_channels == 1:
            raise ValueError('InstBoxSegmentor needs a softmax decode head: set out_channels=2 '
                             'for two categories instead of out_channels=1')
        if self.test_cfg.get('mode', 'whole') != 'whole':
            raise ValueError("InstBoxSegmentor predicts in mode='whole', got "
                             f"{self.test_cfg['mode']!r}: tiles would cut objects and their boxes")

    def _decode_head_forward_train(self, inputs: list[Tensor], data_samples: SampleList) -> dict:
        """Losses of the decode head and of the box head."""
        losses = super()._decode_head_forward_train(inputs, data_samples)
        loss_box = self.box_head.loss(inputs, data_samples, self.train_cfg)
        losses.update(add_prefix(loss_box, 'box'))
        return losses

    def forward_dense(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Category scores and boxes on their feature grids.

        Args:
            inputs: ``(N, 3, H, W)``.

        Returns:
            tuple: ``(N, C, h, w)`` logits and ``(N, 4, h', w')`` boxes in pixels of ``inputs``.
        """
        feats = self.extract_feat(inputs)
        return self.decode_head(feats), self.box_head.predict(feats, inputs.shape[-2:])

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """Category map and instances of a batch.

        Args:
            inputs: ``(N, 3, H, W)``, padded at the right and bottom only.
            data_samples: Their ``img_shape`` (without padding) and ``ori_shape`` are read; missing
                ones mean the size of ``inputs``.

        Returns:
            list[SegDataSample]: The samples with ``seg_logits``, ``pred_sem_seg`` and
            ``pred_instances`` at original size.
        """
        logits, boxes = self.forward_dense(inputs)
        data_samples = data_samples or [SegDataSample() for _ in inputs]
        for i, sample in enumerate(data_samples):
            self._predict_single(sample, logits[i], boxes[i], inputs.shape[-2:])
        return data_samples

    def _predict_single(self, sample: SegDataSample, logits: Tensor, boxes: Tensor,
                        input_shape: tuple[int, int]) -> None:
        if sample.metainfo.get('flip'):
            raise ValueError('InstBoxSegmentor got a flipped test image; boxes of flipped images '
                             'are not mapped back: take RandomFlip out of the test pipeline')
        img_shape = tuple(sample.metainfo.get('img_shape', input_shape)[:2])
        ori_shape = tuple(sample.metainfo.get('ori_shape', img_shape)[:2])
        shapes = (input_shape, img_shape, ori_shape)
        seg_logits = resize_to_extent(*crop_to_image(logits, *shapes), ori_shape)
        seg_map = seg_logits.argmax(dim=0)

        if logits.shape[-2:] != boxes.shape[-2:]:
            logits = resize_to_extent(logits, boxes.shape[-2:], boxes.shape[-2:])
        scores, extent = crop_to_image(logits.softmax(dim=0), *shapes)
        boxes, _ = crop_to_image(boxes, *shapes)
        scale = [ori / img for ori, img in zip(ori_shape, img_shape, strict=True)][::-1]
        boxes = boxes * boxes.new_tensor(scale * 2)[:, None, None]

        sample.seg_logits = PixelData(data=seg_logits)
        sample.pred_sem_seg = PixelData(data=seg_map[None])
        sample.pred_instances = self.grouper(scores, boxes, ori_shape, self.thing_ids, extent,
                                             seg_map)
        if self.test_cfg.get('keep_boxes', False):
            sample.pred_boxes = PixelData(data=boxes)
            sample.pred_scores = PixelData(data=scores)
            sample.set_metainfo(dict(grid_extent=extent))


def crop_to_image(grid: Tensor, input_shape: tuple[int, int], img_shape: tuple[int, int],
                  ori_shape: tuple[int, int]) -> tuple[Tensor, tuple[float, float]]:
    """Cuts a feature grid to the cells that hold the image, without its padding.

    Args:
        grid: ``(C, h, w)`` over the padded network input.
        input_shape: ``(H, W)`` of the padded input.
        img_shape: ``(H, W)`` of the image in it, at the top left.
        ori_shape: ``(H, W)`` of the original image.

    Returns:
        tuple: The ``(C, h', w')`` grid and the size ``(H', W')`` in original pixels that it covers.
    """
    cells, extent = [], []
    for num, full, img, ori in zip(
            grid.shape[-2:], input_shape, img_shape, ori_shape, strict=True):
        step = full / num
        cells.append(min(math.ceil(img / step), num))
        extent.append(cells[-1] * step * ori / img)
    return grid[:, :cells[0], :cells[1]], tuple(extent)
