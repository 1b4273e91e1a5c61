from collections.abc import Sequence
from pathlib import Path

import mmcv
from mmengine.fileio import get
from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample

from ...errors import InvalidInputError


@HOOKS.register_module()
class PixelBoxVisualizationHook(SegVisualizationHook):
    """Draws the same images at every validation, with what ``PixelBoxVisualizer`` needs.

    It makes the model keep its boxes (``test_cfg.keep_boxes``) and gives the visualizer the model's
    grouper. In validation it draws the first image and each ``interval``-th after it, in testing
    all images, as the parent.

    Args:
        draw: Whether to draw at all.
        **kwargs: ``interval`` (50 by default), ``show``, ``wait_time`` and ``backend_args`` of
            ``SegVisualizationHook``.
    """

    def __init__(self, draw: bool = True, **kwargs) -> None:
        super().__init__(draw=draw, **kwargs)

    def before_run(self, runner: Runner) -> None:
        """Make the model keep the box of each cell, and the visualizer group as the model does."""
        if not self.draw:
            return
        model = runner.model
        while hasattr(model, 'module'):  # DistributedDataParallel, InstBoxTTAModel
            model = model.module
        if not hasattr(model, 'box_head'):
            raise InvalidInputError('PixelBoxVisualizationHook draws boxes of pixels, and a '
                                    f'{type(model).__name__} predicts none: use '
                                    'SegVisualizationHook')
        model.test_cfg['keep_boxes'] = True
        if hasattr(self._visualizer, 'grouper') and hasattr(model.grouper, 'vote'):
            self._visualizer.grouper = model.grouper

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                       outputs: Sequence[SegDataSample]) -> None:
        """Draw the first sample of every ``interval``-th batch, at the training's iteration."""
        if not self.draw or batch_idx % self.interval:
            return
        sample = outputs[0]
        content = get(sample.img_path, backend_args=self.backend_args)
        self._visualizer.add_datasample(
            f'val_{Path(sample.img_path).stem}', mmcv.imfrombytes(content, channel_order='rgb'),
            data_sample=sample, show=self.show, wait_time=self.wait_time, step=runner.iter)
