from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.dense_prediction import DensePredictor
from ..core.groupers import build_grouper
from ..core.painting import best_categories
from ..errors import BrokenExportError
from ..utils import DEFAULT_SCORE_THR
from .export_settings import ExportSettings, normalise, resize_image
from .plain_sample import PlainSample
from .predictor import Predictor, prediction_dict, tile_test_cfg
from .sessions import Session


class ExportedModel(Predictor, DensePredictor):
    """Runs an exported model without importing OpenMMLab.

    :class:`~mmseg_instbox.apis.InstBoxInferencer` runs the same files and also draws, but needs
    MMSegmentation; :func:`~mmseg_instbox.visualization.draw_prediction` draws without it.
    Predictions are a :class:`.PlainSample` each.

    Args:
        model: A file that ``instbox export`` wrote, ``.onnx`` or ``.xml``.
        device: 'cpu' by default; 'cuda' or 'gpu' if the library that runs the file has them.
        tile: Side of a tile in pixels, or its (height, width). Images are then predicted at their
            own size, in tiles that overlap by half.

    Attributes:
        settings: The settings in the file.
        dataset_meta: ``classes``, ``thing_classes`` and ``palette``.
        thing_ids: Indices of the categories that have instances.
        digest: Hexadecimal SHA-256 of the file's content.
        failures: Name and reason of each input of the last call that was skipped.

    Raises:
        InvalidInputError: The file is broken, the device is not available, or ``tile`` is no size.
        MissingFileError: The file does not exist.
        MissingPackageError: ONNX Runtime or OpenVINO is not installed.
    """

    def __init__(self,
                 model: str | Path,
                 device: str | None = None,
                 tile: int | tuple[int, int] | None = None) -> None:
        self.session = Session(model, device)
        self.settings = ExportSettings.from_json(self.session.settings, str(model))
        self.digest = self.session.digest
        self.dataset_meta = self.settings.dataset_meta
        self.thing_ids = self.settings.thing_ids
        self._grouper_config = self.settings.grouper
        self.grouper = build_grouper(self._grouper_config)
        self.test_cfg = {**self.settings.test_cfg, **tile_test_cfg(tile)}
        self.failures: list[tuple[str, str]] = []
        self._at_own_size = tile is not None

    def forward_dense(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(N, C, h, w)`` and boxes ``(N, 4, h', w')`` in pixels of the normalised
        ``inputs`` ``(N, 3, H, W)`` float32; raises BrokenExportError if the graph cannot be run, or
        returns other shapes."""
        found = self.session(np.ascontiguousarray(inputs.numpy()))
        logits, boxes = (torch.from_numpy(each) for each in found)
        num, classes = len(inputs), len(self.dataset_meta['classes'])
        if logits.ndim != 4 or logits.shape[:2] != (num, classes) or boxes.shape[:2] != (num, 4):
            raise BrokenExportError(
                f'{self.session.path}: the graph returned logits {tuple(logits.shape)} and boxes '
                f'{tuple(boxes.shape)}; expected ({num}, {classes}, h, w) and ({num}, 4, h, w).')
        return logits, boxes

    def _prepare(self, image: np.ndarray) -> tuple[tuple[int, int], tuple]:
        resized = image if self._at_own_size else resize_image(image, self.settings)
        return resized.shape[:2], (resized, image.shape[:2])

    @torch.no_grad()
    def _predict_batch(self, batch: Sequence[tuple], keep_boxes: bool) -> list[PlainSample]:
        inputs = normalise([image for image, _ in batch], self.settings)
        metas = [dict(img_shape=image.shape[:2], ori_shape=shape) for image, shape in batch]
        predictions = []
        for each in self.predict_cells(inputs, metas):
            seg_map = best_categories(each.logits, each.logits_extent, each.ori_shape)
            found = self.grouper(each.probs, each.boxes, each.ori_shape, self.thing_ids,
                                 each.extent, seg_map)
            kept = dict(
                pred_boxes=PlainSample(data=each.boxes), pred_probs=PlainSample(data=each.probs),
                grid_extent=each.extent) if keep_boxes else {}
            predictions.append(PlainSample(
                ori_shape=each.ori_shape, pred_sem_seg=PlainSample(data=seg_map[None]),
                pred_instances=found, **kept))
        return predictions

    def __call__(self, inputs: Any, batch_size: int = 1, score_thr: float = DEFAULT_SCORE_THR,
                 on_error: str = 'raise') -> dict[str, list[dict]]:
        """Predicts all inputs and returns the results as numbers and strings.

        Arguments are those of :meth:`stream`; instances of a score below ``score_thr`` are left
        out.

        Returns:
            dict: ``predictions``, as ``InstBoxInferencer`` returns them: for each image a
            dictionary of :func:`~mmseg_instbox.deploy.predictor.prediction_dict`.
        """
        things = self.dataset_meta['thing_classes']
        return dict(predictions=[prediction_dict(each, things, score_thr)
                                 for each in self.stream(inputs, batch_size, on_error=on_error)])
