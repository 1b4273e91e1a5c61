import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from ...core.dense_prediction import DensePrediction
from ...core.feature_grid import cell_points, resize_to_extent
from ...errors import InvalidInputError, InvalidTypeError

BOX_MERGES = ('mean', 'weighted', 'median', 'first')
View = tuple[SegDataSample, DensePrediction]


@MODELS.register_module()
class InstBoxTTAModel(SegTTAModel):
    """Test-time augmentation of categories and boxes: several views of an image, grouped once.

    Extends :class:`mmseg.models.SegTTAModel`. Every view, of another scale or a mirror image, goes
    through the network without grouping, is mapped back to the original image and merged with the
    others, see :func:`merge_views`.

    Args:
        module: An ``InstBoxSegmentor`` or its config.
        box_merge: How boxes are merged: ``'mean'``, ``'weighted'``, ``'median'`` or ``'first'``;
            see :func:`merge_boxes`.
        **kwargs: Arguments of mmengine's ``BaseTTAModel``.

    Raises:
        ValueError: An unknown ``box_merge``.
        TypeError: A ``module`` that is no ``InstBoxSegmentor``.
    """

    def __init__(self, module: ConfigType | nn.Module, box_merge: str = 'mean', **kwargs) -> None:
        super().__init__(module, **kwargs)
        if box_merge not in BOX_MERGES:
            raise InvalidInputError(f'box_merge is one of {BOX_MERGES}, got {box_merge!r}')
        if not hasattr(self.module, 'predict_dense'):
            raise InvalidTypeError('InstBoxTTAModel augments an InstBoxSegmentor, got '
                                   f'{type(self.module).__name__}; for category maps alone use '
                                   'SegTTAModel')
        self.box_merge = box_merge

    def test_step(self, data: dict) -> SampleList:
        """Predicts a batch of augmented images: gives the samples of the first view the fields that
        ``InstBoxSegmentor.predict`` writes; ``seg_logits`` are logarithms of mean probabilities.

        ``data`` has ``inputs`` and ``data_samples`` as ``TestTimeAug`` and the loader give them: a
        list of views, each a list of ``(3, H, W)`` images or of samples.
        """
        predictions = []
        for inputs, samples in zip(data['inputs'], data['data_samples'], strict=True):
            view = self.module.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
            dense = self.module.predict_dense(**view)
            predictions.append(list(zip(view['data_samples'], dense, strict=True)))
        return self.merge_preds(list(zip(*predictions, strict=True)))

    def merge_preds(self, data_samples_list: list[tuple[View, ...]]) -> SampleList:
        """Merges the views of each image, samples with their predictions, and groups them once."""
        merged = []
        for views in data_samples_list:
            sample = views[0][0]
            seg_logits, dense = merge_views([view for _, view in views], self.box_merge)
            sample.seg_logits = PixelData(data=seg_logits)
            self.module.group(sample, seg_logits.argmax(dim=0), dense)
            merged.append(sample)
        return merged


def merge_views(views: list[DensePrediction], box_merge: str) -> tuple[Tensor, DensePrediction]:
    """Merges the predictions for several views, at least one, of an image.

    Category probabilities are averaged: at image resolution for the category map, as mmseg does,
    and on the finest of the views' grids for the grouping. To it boxes come by the nearest cell;
    interpolation would blend them across borders of objects. Of views on the finest grid, the first
    is the first of :func:`merge_boxes`.

    Returns:
        tuple: ``(C, H, W)`` logarithms of category probabilities, and the merged prediction.
    """
    pixel_probs = sum(
        resize_to_extent(view.logits, view.logits_extent, view.ori_shape).softmax(dim=0)
        for view in views) / len(views)
    first = max(views, key=lambda view: view.boxes[0].numel())  # the first of equals
    views = [first, *(view for view in views if view is not first)]
    target = (tuple(first.boxes.shape[-2:]), first.extent)
    probs = torch.stack([sample_grid(v.probs, v.extent, *target, 'bilinear') for v in views])
    boxes = torch.stack([sample_grid(v.boxes, v.extent, *target, 'nearest') for v in views])
    merged = first._replace(probs=probs.mean(dim=0), boxes=merge_boxes(boxes, probs, box_merge))
    return pixel_probs.clamp(min=1e-12).log(), merged


def merge_boxes(boxes: Tensor, probs: Tensor, rule: str) -> Tensor:
    """One box a cell ``(4, h, w)`` from those ``(V, 4, h, w)`` of V views, with category
    probabilities ``(V, C, h, w)``.

    ``rule`` is ``'mean'``; ``'weighted'``: mean weighted by the probability that the view gives the
    category that is best in all views together; ``'median'`` of each coordinate; or ``'first'``.
    """
    if rule == 'first':
        return boxes[0]
    if rule == 'median':
        return boxes.quantile(0.5, dim=0)
    if rule == 'mean':
        return boxes.mean(dim=0)
    best = probs.sum(dim=0).argmax(dim=0)
    weights = probs.gather(1, best.expand(len(probs), 1, *best.shape))
    return (boxes * weights).sum(dim=0) / weights.sum(dim=0).clamp(min=1e-12)


def sample_grid(grid: Tensor, extent: tuple[float, float], new_shape: tuple[int, int],
                new_extent: tuple[float, float], mode: str) -> Tensor:
    """Values ``(C, h', w')`` of a feature grid ``(C, h, w)``, which covers ``extent`` ``(H, W)``
    pixels, at the cells of another one from the same corner, itself where the two are the same;
    ``mode`` is ``'bilinear'`` or ``'nearest'``, and beyond the grid its border counts."""
    if tuple(grid.shape[-2:]) == tuple(new_shape) and tuple(extent) == tuple(new_extent):
        return grid
    points = cell_points(new_shape, new_extent, grid.device)
    places = points / points.new_tensor(extent[::-1]) * 2 - 1
    return F.grid_sample(grid[None], places[None].to(grid.dtype), mode=mode,
                         padding_mode='border', align_corners=False)[0]
