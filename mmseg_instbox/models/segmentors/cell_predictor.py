from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from ...core.dense_prediction import DensePrediction, DensePredictor
from ...core.feature_grid import resize_to_extent
from ...core.painting import best_categories
from ..task_modules.groupers import to_instance_data


class CellPredictor(DensePredictor):
    """Predicts data samples from the categories and boxes of cells.

    A class that extends it has ``forward_dense``, ``test_cfg``, a ``grouper`` and ``thing_ids``.
    """

    def predict_dense(self, inputs: Tensor,
                      data_samples: OptSampleList = None) -> list[DensePrediction]:
        """As :meth:`~.DensePredictor.predict_cells`, with the metainfo of data samples."""
        metainfos = [sample.metainfo for sample in data_samples or []] or [{}] * len(inputs)
        return self.predict_cells(inputs, metainfos)

    def predict(self, inputs: Tensor, data_samples: OptSampleList = None) -> SampleList:
        """The samples of a batch ``(N, 3, H, W)`` with ``seg_logits``, ``pred_sem_seg`` and
        ``pred_instances`` at original size; errors as of :meth:`~.DensePredictor.predict_cells`."""
        dense = self.predict_dense(inputs, data_samples)
        del inputs  # the largest tensor, if the caller holds it no longer
        data_samples = data_samples or [SegDataSample() for _ in dense]
        for sample, each in zip(data_samples, dense, strict=True):
            logits = (each.logits, each.logits_extent, each.ori_shape)
            if self.test_cfg.get('keep_logits', True):
                sample.seg_logits = PixelData(data=resize_to_extent(*logits))
            self.group(sample, best_categories(*logits), each)
        return data_samples

    def group(self, sample: SegDataSample, seg_map: Tensor, dense: DensePrediction) -> None:
        """Groups the cells of an image and writes its category map ``(H, W)`` int64 and its
        instances on the sample."""
        sample.pred_sem_seg = PixelData(data=seg_map[None])
        sample.pred_instances = to_instance_data(self.grouper(
            dense.probs, dense.boxes, dense.ori_shape, self.thing_ids, dense.extent, seg_map))
        if self.test_cfg.get('keep_boxes', False):
            sample.pred_boxes = PixelData(data=dense.boxes)
            sample.pred_probs = PixelData(data=dense.probs)
            sample.set_metainfo(dict(grid_extent=dense.extent))
