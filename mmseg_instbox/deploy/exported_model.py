from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..apis.inferencer_settings import bounded, check_calls, tile_test_cfg
from ..apis.inputs import InputImage, read_inputs
from ..core.dense_prediction import DensePrediction
from ..core.groupers import build_grouper
from ..core.instances import Instances
from ..core.painting import best_categories
from ..core.predict_dense import predict_dense
from ..core.shifted_copies import feature_strides
from ..errors import BrokenExportError, InstBoxError, InvalidInputError
from .export_settings import ExportSettings
from .prediction import PixelMap, Prediction
from .preprocessing import normalise, resize_image
from .sessions import open_session


class ExportedModel:
    """An exported model that predicts; nothing of OpenMMLab is imported.

    :class:`~mmseg_instbox.apis.InstBoxInferencer` runs the same files and draws, too, but needs
    MMSegmentation.

    Args:
        model: A file that ``instbox export`` wrote, ``.onnx`` or ``.xml``.
        device: 'cpu' by default; 'cuda' or 'gpu' where the library that runs it has them.
        tile: Side of a tile in pixels, or its (height, width). Pictures are then predicted at their
            own size, tile by tile.

    Attributes:
        settings: What the file says beside its graph.
        dataset_meta: ``classes``, ``thing_classes`` and ``palette``.
        digest: Hexadecimal SHA-256 of what is in the file.
        failures: Name and reason of each input of the last call that was skipped.

    Raises:
        ValueError: A broken file, a device that is not there, or tiles that are no sizes.
        FileNotFoundError: There is no such file.
        ImportError: ONNX Runtime or OpenVINO is not installed.
    """

    def __init__(self,
                 model: str | Path,
                 device: str | None = None,
                 tile: int | tuple[int, int] | None = None) -> None:
        self.session = open_session(model, device)
        self.settings = ExportSettings.from_json(self.session.settings, str(model))
        self.digest = self.session.digest
        self.dataset_meta = self.settings.dataset_meta
        self.thing_ids = self.settings.thing_ids
        self.grouper = bounded(build_grouper(self.settings.grouper))
        self.test_cfg = {**self.settings.test_cfg, **tile_test_cfg(tile)}
        self.failures: list[tuple[str, str]] = []
        self._at_own_size = tile is not None
        self._strides: tuple[int, int] | None = None

    def forward_dense(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Category scores and boxes on their feature grids.

        Args:
            inputs: ``(N, 3, H, W)`` float32, normalised.

        Returns:
            tuple: ``(N, C, h, w)`` logits and ``(N, 4, h', w')`` boxes in pixels of ``inputs``.

        Raises:
            ValueError: The graph cannot be run, or gives something else.
        """
        found = self.session(np.ascontiguousarray(inputs.numpy()))
        logits, boxes = (torch.from_numpy(each) for each in found)
        num, classes = len(inputs), len(self.dataset_meta['classes'])
        if logits.ndim != 4 or logits.shape[:2] != (num, classes) or boxes.shape[:2] != (num, 4):
            raise BrokenExportError(
                f'{self.session.path}: the graph gave scores {tuple(logits.shape)} and boxes '
                f'{tuple(boxes.shape)}; expected ({num}, {classes}, h, w) and ({num}, 4, h, w).')
        return logits, boxes

    def _find_strides(self, inputs: Tensor) -> tuple[int, int]:
        if self._strides is None:
            self._strides = feature_strides(self.forward_dense, inputs)
        return self._strides

    @torch.no_grad()
    def predict_dense(self, images: Sequence[np.ndarray]) -> list[DensePrediction]:
        """Categories and boxes of each cell of pictures (H, W, 3) uint8 BGR."""
        if not self._at_own_size:
            resized = [resize_image(image, self.settings) for image in images]
        else:
            resized = list(images)
        dense: list[DensePrediction | None] = [None] * len(images)
        shapes = [image.shape[:2] for image in resized]
        for shape in dict.fromkeys(shapes):  # padded, they would see their neighbours' size
            members = [i for i, each in enumerate(shapes) if each == shape]
            inputs = normalise([resized[i] for i in members], self.settings)
            metas = [dict(img_shape=shape, ori_shape=images[i].shape[:2]) for i in members]
            found = predict_dense(self.forward_dense, inputs, metas, self.test_cfg,
                                  lambda inputs=inputs: self._find_strides(inputs))
            for i, each in zip(members, found, strict=True):
                dense[i] = each
        return dense

    @torch.no_grad()
    def predict(self, images: Sequence[InputImage], arrays: Sequence[np.ndarray],
                keep_boxes: bool = False) -> list[Prediction]:
        """Predicts a batch.

        Args:
            images: Their names and paths are read.
            arrays: The pictures, (H, W, 3) uint8 BGR.
            keep_boxes: Whether predictions carry what :meth:`regroup` needs.
        """
        predictions = []
        for image, each in zip(images, self.predict_dense(arrays), strict=True):
            seg_map = best_categories(each.logits, each.logits_extent, each.ori_shape)
            found = self.grouper(each.scores, each.boxes, each.ori_shape, self.thing_ids,
                                 each.extent, seg_map)
            kept = dict(pred_boxes=PixelMap(each.boxes), pred_scores=PixelMap(each.scores),
                        grid_extent=each.extent) if keep_boxes else {}
            predictions.append(Prediction(image.name, image.path, each.ori_shape,
                                          PixelMap(seg_map[None]), found, **kept))
        return predictions

    def stream(self, inputs: Any, batch_size: int = 1, keep_boxes: bool = False,
               on_error: str = 'raise') -> Iterator[Prediction]:
        """Predictions one after another; memory does not grow with their number.

        Args:
            inputs: See :func:`~mmseg_instbox.apis.inputs.read_inputs`; no more than a batch is read
                ahead.
            batch_size: Pictures that the network sees at once, if they are of one size.
            keep_boxes: Whether predictions carry what :meth:`regroup` needs.
            on_error: 'raise', or 'skip' to leave out what cannot be read and list it in
                ``failures``.

        Raises:
            ValueError: An input that cannot be read, or an argument that cannot be.
            FileNotFoundError: A file that does not exist.
        """
        check_calls(batch_size, on_error)
        self.failures = []
        loaded = self._load(read_inputs(inputs), on_error == 'skip')
        return self._predict(loaded, batch_size, keep_boxes)

    def _load(self, images: Iterable[InputImage],
              skip: bool) -> Iterator[tuple[InputImage, np.ndarray]]:
        for image in images:
            try:
                array = image.load()
            except (InstBoxError, OSError) as error:
                if not skip:
                    raise
                self.failures.append((image.name, str(error)))
                continue
            yield image, array

    def _predict(self, loaded: Iterator[tuple[InputImage, np.ndarray]], batch_size: int,
                 keep_boxes: bool) -> Iterator[Prediction]:
        while batch := list(islice(loaded, batch_size)):
            images, arrays = zip(*batch, strict=True)
            yield from self.predict(images, arrays, keep_boxes)

    def __call__(self, inputs: Any, batch_size: int = 1, score_thr: float = 0.2,
                 on_error: str = 'raise') -> dict[str, list[dict]]:
        """Predicts all inputs and gives the results as numbers and strings.

        Args:
            inputs: As of :meth:`stream`, as are ``batch_size`` and ``on_error``.
            score_thr: Instances below are left out.

        Returns:
            dict: ``predictions``, as of ``InstBoxInferencer``: for each picture a dictionary of
            :func:`~mmseg_instbox.apis.prediction_dict.prediction_dict`.

        Raises:
            ValueError: As of :meth:`stream`.
            FileNotFoundError: As of :meth:`stream`.
        """
        from ..apis.prediction_dict import prediction_dict  # run lengths need pycocotools
        things = self.dataset_meta['thing_classes']
        return dict(predictions=[prediction_dict(each, things, score_thr)
                                 for each in self.stream(inputs, batch_size, on_error=on_error)])

    def regroup(self, prediction: Prediction, **grouper_options: Any) -> Instances:
        """Groups the boxes of a prediction again, without the network.

        Args:
            prediction: Of :meth:`stream` with ``keep_boxes=True``.
            **grouper_options: Arguments of the model's grouper that change, such as
                ``min_gain=0.1``; or ``type`` and all arguments of another grouper.

        Raises:
            ValueError: A prediction without boxes, or an option that the grouper does not take.
        """
        if prediction.pred_boxes is None:
            raise InvalidInputError('The prediction has no boxes to group again: make it with '
                                    'stream(..., keep_boxes=True).')
        own = {} if 'type' in grouper_options else self.settings.grouper
        grouper = bounded(build_grouper({**own, **grouper_options}))
        return grouper(prediction.pred_scores.data, prediction.pred_boxes.data,
                       prediction.ori_shape, self.thing_ids, prediction.grid_extent,
                       prediction.pred_sem_seg.data[0])
