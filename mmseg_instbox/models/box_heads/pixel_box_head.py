import logging
import math

import torch
from mmcv.cnn import ConvModule
from mmengine.logging import print_log
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS, TASK_UTILS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, SampleList
from torch import Tensor

from ...core import VOID
from ...core.box_iou import box_iou
from ...core.feature_grid import cell_points, sample_at_cells
from ...errors import InvalidInputError
from ..task_modules.bootstrap_pixel_sampler import mean_weights


def cell_boxes(sample: SegDataSample, grid_shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Which cells ``(h, w)`` bool of a grid lie on an instance, and the boxes ``(M, 4)`` of these.

    Reads ``gt_inst_map`` ``(1, H, W)`` and ``gt_instances`` (``ids``, ``bboxes``); raises a
    ValueError for an instance of the map that the latter does not list.
    """
    ids = sample_at_cells(sample.gt_inst_map.data[0], grid_shape).long()
    valid = (ids != 0) & (ids != VOID)
    known, order = sample.gt_instances.ids.sort()
    cells = ids[valid]
    index = torch.searchsorted(known, cells).clamp(max=max(len(known) - 1, 0))
    if len(cells) and (len(known) == 0 or not torch.equal(known[index], cells)):
        raise InvalidInputError(f'gt_inst_map of {sample.get("img_path", "a sample")} holds '
                                'instances that gt_instances does not list; pack samples with '
                                'PackInstInputs as the last transform')
    return valid, sample.gt_instances.bboxes[order[index]]


@MODELS.register_module()
class PixelBoxHead(FCNHead):
    """For every pixel of a thing, the bounding box of its instance (paper, section 3.2).

    An :class:`mmseg.models.FCNHead` whose four output channels are the deltas of a box coder. It
    takes features exactly as any decode head does (``in_index``, ``input_transform``), so it fits
    any mmseg backbone or neck. Pixels of no instance and void pixels carry no loss.

    Args:
        coder: Config of the box coder.
        loss_decode: Config of one pixel-wise loss: of the coder's numbers (``SmoothL1Loss``) or of
            the decoded boxes (``IoULoss``, ``GIoULoss``).
        sampler: Config of a sampler with ``sample_loss``, or None: every pixel of an instance
            counts.
        first_kernel: Kernel size of the first convolution, odd; by default ``kernel_size``, as of
            the others. 1 saves most of the head's time where ``in_channels`` are many.
        **kwargs: Arguments of ``FCNHead``.

    Raises:
        ValueError: Several losses, or a ``first_kernel`` that is even or has no convolution.
    """

    guarded = False  # LossGuardHook sets it: then losses may be NaN, which the hook handles

    def __init__(self,
                 coder: ConfigType = dict(type='PixelBoxCoder'),
                 loss_decode: ConfigType = dict(type='SmoothL1Loss'),
                 concat_input: bool = False,
                 dropout_ratio: float = 0,
                 first_kernel: int | None = None,
                 **kwargs) -> None:
        if isinstance(loss_decode, list | tuple):
            raise InvalidInputError(f'PixelBoxHead takes one loss_decode, got {len(loss_decode)}: '
                                    'a sum has no single value by which to find hard pixels')
        super().__init__(
            num_classes=4, loss_decode=loss_decode, concat_input=concat_input,
            dropout_ratio=dropout_ratio, **kwargs)
        self.coder = TASK_UTILS.build(coder)
        if first_kernel is None:
            return
        if self.num_convs == 0 or first_kernel % 2 == 0:
            raise InvalidInputError(f'first_kernel of PixelBoxHead is {first_kernel} with num_convs'
                                    f'={self.num_convs}; expected an odd size, and num_convs of at '
                                    'least 1')
        dilation = self.convs[0].dilation
        self.convs[0] = ConvModule(
            self.in_channels, self.channels, first_kernel, dilation=dilation,
            padding=first_kernel // 2 * dilation[0], conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg)

    def _transform_inputs(self, inputs: tuple[Tensor] | Tensor) -> Tensor:
        """The parent's choice of features; a backbone that gives only one (PIDNet and DDRNet, when
        they do not train) leaves none."""
        return inputs if isinstance(inputs, Tensor) else super()._transform_inputs(inputs)

    def loss_by_feat(self, deltas: Tensor, batch_data_samples: SampleList) -> dict:
        """Box loss at the feature stride, and ``iou``: the mean IoU of predicted and true boxes.

        Args:
            deltas: ``(N, 4, h, w)``, the head's output.
            batch_data_samples: With ``gt_inst_map`` and ``gt_instances`` in pixels of the input.

        Raises:
            ValueError: Predicted boxes that are not finite, unless the head is ``guarded``.
        """
        grid = deltas.shape[-2:]
        valid, boxes = zip(
            *(cell_boxes(sample, grid) for sample in batch_data_samples), strict=True)
        valid, boxes = torch.stack(valid), torch.cat(boxes)
        extent = batch_data_samples[0].gt_inst_map.shape[-2:]
        points = cell_points(grid, extent, deltas.device).expand(*valid.shape, 2)[valid]
        pred = deltas.permute(0, 2, 3, 1)[valid].float()

        decoded = self.coder.decode(points, pred)
        if getattr(self.loss_decode, 'on_boxes', False):
            pixel_loss = self.loss_decode(decoded, boxes, reduction_override='none')
        else:
            pixel_loss = self.loss_decode(
                pred, self.coder.encode(points, boxes), reduction_override='none').mean(dim=-1)
        finite = torch.isfinite((pixel_loss + pred.sum(dim=-1)).detach())
        if not finite.all():
            broken = valid.new_zeros(valid.shape).masked_scatter(valid, ~finite)
            self._report_diverged([sample.get('img_path', f'sample {i} of the batch')
                                   for i, sample in enumerate(batch_data_samples)
                                   if broken[i].any()])
            pixel_loss = pixel_loss * math.nan
        loss = pixel_loss.new_zeros(valid.shape).masked_scatter(valid, pixel_loss)
        weights = (mean_weights(valid) if self.sampler is None
                   else self.sampler.sample_loss(loss.detach(), valid))
        iou = box_iou(decoded.detach(), boxes)
        return {self.loss_decode.loss_name: (loss * weights).mean(),
                'iou': iou.sum() / max(len(iou), 1)}

    def _report_diverged(self, images: list[str]) -> None:
        """An error that names the images; a warning where ``LossGuardHook`` handles NaN losses."""
        problem = (f'The predicted boxes are NaN or infinite for {", ".join(images)}: the training '
                   'has diverged, or these images have a fault. Lower the learning rate, clip '
                   'gradients (optim_wrapper.clip_grad), or leave out --amp.')
        if not self.guarded:
            raise InvalidInputError(problem)
        print_log(problem, 'current', logging.WARNING)

    def predict(self, inputs: tuple[Tensor], extent: tuple[int, int]) -> Tensor:
        """Boxes ``(N, 4, h, w)`` of all cells, in pixels of the network's input ``extent`` (H, W),
        from the features of the backbone or neck."""
        deltas = self.forward(inputs).permute(0, 2, 3, 1).float()
        points = cell_points(deltas.shape[1:3], extent, deltas.device)
        return self.coder.decode(points, deltas).permute(0, 3, 1, 2)
