import copy

import mmseg.datasets.transforms as mmseg_transforms
from mmcv.image.geometric import rescale_size
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module(force=True)
class Resize(mmseg_transforms.Resize):
    """Resize an image and its maps to at least one pixel a side, however thin they are.

    Extends mmseg's ``Resize`` and takes its place in the registry: with ``keep_ratio``, that one
    rounds the short side of an image whose sides differ by a factor of several hundred to 0 pixels,
    at which OpenCV fails. ``RandomResize``, ``RandomChoiceResize`` and ``ResizeShortestEdge`` use
    it. Arguments and keys are those of mmseg's.
    """

    def transform(self, results: dict) -> dict:
        """Resize what ``results`` holds."""
        size = results['img'].shape[1::-1]
        scale = self.scale or tuple(int(side * factor + 0.5) for side, factor in
                                    zip(size, self.scale_factor, strict=True))
        if self.keep_ratio and min(scale) >= 1:
            scale = rescale_size(size, tuple(scale))
        if min(scale) >= 1:
            return super().transform(results)
        at_least_one = copy.copy(self)
        at_least_one.scale, at_least_one.keep_ratio = tuple(max(side, 1) for side in scale), False
        return super(Resize, at_least_one).transform(results)
