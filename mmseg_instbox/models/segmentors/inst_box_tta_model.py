from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, SampleList
from torch import nn

from mmseg_instbox.core.dense_prediction import DensePrediction
from mmseg_instbox.errors import InvalidInputError, InvalidTypeError

from .view_merging import BOX_MERGES, merge_views

View = tuple[SegDataSample, DensePrediction]


@MODELS.register_module()
class InstBoxTTAModel(SegTTAModel):
    """Test-time augmentation of categories and boxes: several views of an image, grouped once.

    Extends :class:`mmseg.models.SegTTAModel`. Every view, of another scale or a mirror image, goes
    through the network without grouping, is mapped back to the original image and merged with the
    others; see :func:`~mmseg_instbox.models.segmentors.view_merging.merge_views`.

    Args:
        module: An ``InstBoxSegmentor`` or its config.
        box_merge: How boxes are merged: ``'mean'``, ``'weighted'``, ``'median'`` or ``'first'``;
            see :func:`~mmseg_instbox.models.segmentors.view_merging.merge_boxes`.
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
        """Predictions for a batch of augmented images.

        Args:
            data: ``inputs`` and ``data_samples`` as ``TestTimeAug`` and the loader give them: a
                list of views, each a list of ``(3, H, W)`` images or of samples.

        Returns:
            list[SegDataSample]: The samples of the first view, with the fields that
            ``InstBoxSegmentor.predict`` writes; ``seg_logits`` are logarithms of the mean
            probabilities.
        """
        predictions = []
        for inputs, samples in zip(data['inputs'], data['data_samples'], strict=True):
            view = self.module.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
            dense = self.module.predict_dense(**view)
            predictions.append(list(zip(view['data_samples'], dense, strict=True)))
        return self.merge_preds(list(zip(*predictions, strict=True)))

    def merge_preds(self, data_samples_list: list[tuple[View, ...]]) -> SampleList:
        """Merges the views of each image and groups them once.

        Args:
            data_samples_list: For each image its views, a sample and what was predicted for it.

        Returns:
            list[SegDataSample]: As of :meth:`test_step`.
        """
        merged = []
        for views in data_samples_list:
            sample = views[0][0]
            seg_logits, dense = merge_views([view for _, view in views], self.box_merge)
            self.module.group(sample, seg_logits, dense)
            merged.append(sample)
        return merged
