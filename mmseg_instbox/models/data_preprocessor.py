import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import stack_batch

from ..core import VOID


@MODELS.register_module()
class InstBoxDataPreProcessor(SegDataPreProcessor):
    """mmseg's data preprocessor that carries ``gt_inst_map`` and batches images of any size.

    Padding is at the right and the bottom: void in ``gt_inst_map`` as in ``gt_sem_seg``. In
    testing too the input is padded to a multiple of ``size_divisor``, so that a feature cell covers
    the same number of pixels everywhere. That size of each image is its ``pad_shape``, to which
    ``InstBoxSegmentor`` cuts a batch of several sizes.

    Args:
        size: Fixed size ``(H, W)`` of training batches; or
        size_divisor: sizes of batches are multiples of it. 32 when neither is given.
        channels_last: Hand the batch over in ``torch.channels_last`` memory, which convolutions on
            a CPU and half-precision ones on a GPU run faster on.
        **kwargs: Arguments of :class:`mmseg.models.SegDataPreProcessor`.
    """

    def __init__(self,
                 size: tuple[int, int] | None = None,
                 size_divisor: int | None = None,
                 test_cfg: dict | None = None,
                 channels_last: bool = False,
                 **kwargs) -> None:
        if size is None and size_divisor is None:
            size_divisor = 32
        if test_cfg is None:
            test_cfg = dict(size_divisor=size_divisor or 32)
        super().__init__(size=size, size_divisor=size_divisor, test_cfg=test_cfg, **kwargs)
        self.channels_last = channels_last

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalises, pads and stacks ``inputs``, a list of ``(3, H, W)`` images, to
        ``(N, 3, H, W)`` float32; in training also the ground truth of ``data_samples``."""
        if training:
            data = super().forward(data, training=True)
            height, width = data['inputs'].shape[-2:]
            for sample in data['data_samples']:
                if 'gt_inst_map' in sample:
                    inst_map = sample.gt_inst_map.data
                    padding = (0, width - inst_map.shape[2], 0, height - inst_map.shape[1])
                    sample.gt_inst_map = PixelData(data=F.pad(inst_map, padding, value=VOID))
        else:
            data = self._forward_test(data)
        if self.channels_last:
            data['inputs'] = data['inputs'].contiguous(memory_format=torch.channels_last)
        return data

    def _forward_test(self, data: dict) -> dict:
        """Preprocesses image by image (the parent wants one size), then pads to the largest."""
        samples = data.get('data_samples') or [SegDataSample() for _ in data['inputs']]
        forward = super().forward
        batch = [forward(dict(inputs=[img], data_samples=[sample]))
                 for img, sample in zip(data['inputs'], samples, strict=True)]
        inputs, _ = stack_batch([single['inputs'][0] for single in batch], size_divisor=1,
                                pad_val=self.pad_val)
        return dict(inputs=inputs, data_samples=[single['data_samples'][0] for single in batch])
