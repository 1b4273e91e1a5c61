import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from mmseg.registry import TASK_UTILS
from mmseg.structures import SegDataSample
from rich.progress import track
from torch import nn

from ..core.groupers import configured_grouper
from ..deploy.predictor import Predictor, prediction_dict, tile_test_cfg
from ..engine import load_model
from ..models.task_modules import to_instance_data
from ..utils import DEFAULT_SCORE_THR, DRAW_SIZE, write_json
from ..utils.foreign_errors import describe
from ..utils.inputs import read_inputs
from ..visualization.predictions import draw_prediction
from ..visualization.utils import check_display, write_image
from .model_loading import autocast_dtype, build_pipeline, check_unused, default_weights, model_meta


class InstBoxInferencer(Predictor, BaseInferencer):
    """Finds the instances in images: an inferencer like mmseg's and mmdet's.

    Extends :class:`mmengine.infer.BaseInferencer`. Reading a checkpoint runs no code from it, see
    :func:`~mmseg_instbox.apis.load_model`.

    Masks are kept as one map of the image, of 2 bytes per pixel whatever the number of instances.
    Who reads ``pred_instances.masks`` gets a tensor of one byte per pixel and instance, which the
    model's grouper can bound (``max_mask_bytes``); JSON and drawings are made without it.

    Args:
        model: Name of a model of ours, path of a config, checkpoint that carries its config, or
            exported model (``.onnx``, ``.xml``); or a loaded model (``init_model``). By default the
            one that comes with the package.
        weights: Checkpoint, where ``model`` is a name or a config.
        device: A device of torch; by default a GPU if there is one, else the CPU.
        precision: ``'fp32'``, ``'bf16'`` or, on a GPU, ``'fp16'``: the type of the network's
            convolutions; boxes and grouping are always fp32.
        cfg_options: Config settings to override, such as ``{'model.test_cfg.shifts': 2}``.
        allow_pickle: Whether to read a checkpoint that needs full pickle, which can run any code.
        show_progress: Whether a call shows a progress bar.
        tile: Side of a tile in pixels, or its (height, width). Images are then predicted at their
            own size, in tiles that overlap by half, instead of being scaled as the config says;
            objects of up to a quarter of a tile's side lie whole in the tile that decides on them.
        draw_size: Largest side of a drawing in pixels; larger images are reduced for it, and None
            draws all at full size. Predictions are of the full size either way.

    Attributes:
        model: The segmentor.
        dataset_meta: ``classes``, ``thing_classes`` and ``palette``.
        thing_ids: Indices of the categories that have instances.
        failures: Name and reason of each input of the last call that was skipped.

    Raises:
        ValueError: The model finds no instances or lacks names of categories, the precision is
            unknown or not available on the device, or ``tile`` is no size.
        FileNotFoundError: A file does not exist.
    """

    _find_grouper = TASK_UTILS.get

    def __init__(self,
                 model: str | Path | nn.Module | None = None,
                 weights: str | Path | None = None,
                 device: str | None = None,
                 precision: str = 'fp32',
                 cfg_options: dict | None = None,
                 allow_pickle: bool = False,
                 show_progress: bool = True,
                 tile: int | tuple[int, int] | None = None,
                 draw_size: int | None = DRAW_SIZE) -> None:
        init_default_scope('mmseg')
        if isinstance(model, nn.Module):
            self._loaded = model if device is None else model.to(device)
        else:
            model, weights = (model, weights) if model else (weights or default_weights(), None)
            self._loaded = fuse_conv_bn(  # saves a fifth of the network's time
                load_model(model, weights, device, cfg_options, allow_pickle))
            check_unused(cfg_options, self._loaded.cfg)
        self.dataset_meta = model_meta(self._loaded)
        self.thing_ids = self._loaded.thing_ids
        self.tile, self.draw_size = tile, draw_size
        self._grouper_config = configured_grouper(self._loaded.cfg)
        self._test_cfg = tile_test_cfg(tile)
        super().__init__(self._loaded.cfg, device=device, scope='mmseg',
                         show_progress=show_progress)
        self.device = next(self.model.parameters(), torch.empty(0)).device
        self._dtype = autocast_dtype(precision, self.model, self.device)
        self._lock = threading.Lock()
        self.failures: list[tuple[str, str]] = []

    def _init_model(self, *_: Any) -> nn.Module:
        """Returns the loaded model; MMEngine's loader would read any pickle."""
        return self._loaded.eval()

    def _init_pipeline(self, cfg: Any) -> Callable:
        """Builds the test pipeline, starting from an array."""
        return build_pipeline(cfg, at_own_size=self.tile is not None)

    def _init_collate(self, cfg: Any) -> Callable:
        """Collates images of several sizes into lists."""
        return pseudo_collate

    def _init_visualizer(self, cfg: Any) -> None:
        """Makes none, whatever the config draws in validation: matplotlib takes a third of a second
        to import."""

    def __call__(self,
                 inputs: Any,
                 batch_size: int = 1,
                 return_datasamples: bool = False,
                 return_vis: bool = False,
                 out_dir: str | Path = '',
                 score_thr: float = DEFAULT_SCORE_THR,
                 show: bool = False,
                 wait_time: float = 0,
                 on_error: str = 'raise') -> dict:
        """Predicts all inputs and returns the results together; :meth:`stream` gives one by one.

        Args:
            inputs, batch_size, on_error: See :meth:`stream`.
            return_datasamples: Whether to return data samples instead of dictionaries.
            return_vis: Whether to return drawn predictions.
            out_dir: Folder for drawings, ``vis/NAME.jpg``, and predictions, ``preds/NAME.json``.
            score_thr: Instances of a lower score are in no drawing and no dictionary.
            show: Whether to open a window for each image.
            wait_time: Seconds that the window stays; 0 waits for a key.

        Returns:
            dict: ``predictions``, for each image a dictionary of
            :func:`~mmseg_instbox.deploy.predictor.prediction_dict` or a data sample;
            ``visualization``, RGB arrays (H', W', 3) uint8 if ``return_vis``, else empty.

        Raises:
            ValueError: An input cannot be read, an argument is invalid, or there is no display to
                show images on.
            FileNotFoundError: A file does not exist.
        """
        if show:
            check_display()
        images = read_inputs(inputs)
        predicted = self.stream_with_images(images, batch_size, on_error=on_error)
        vis_dir, pred_dir = (Path(out_dir, name) if str(out_dir) else None
                             for name in ('vis', 'preds'))
        results: dict[str, list] = dict(predictions=[], visualization=[])
        for array, sample in track(predicted, 'Inference', images.total,
                                   disable=not self.show_progress):
            try:
                drawn = self.visualize([array], [sample], return_vis, show, wait_time, vis_dir,
                                       score_thr)
                found = self.postprocess([sample], drawn, return_datasamples, pred_dir, score_thr)
            except Exception as error:
                if on_error == 'raise' or isinstance(error, OSError):  # results cannot be written
                    raise
                self.failures.append((sample.name, describe(error, sample.name)))
                continue
            for key, values in found.items():
                results[key] += values
        return results

    def _prepare(self, image: np.ndarray) -> tuple[tuple[int, ...], dict]:
        data = self.pipeline(dict(img=image))
        return tuple(data['inputs'].shape), data

    def _predict_batch(self, batch: list[dict], keep_boxes: bool) -> list[SegDataSample]:
        return self.forward(self.collate_fn(batch), keep_boxes)

    @torch.no_grad()
    def forward(self, inputs: dict, keep_boxes: bool = False) -> list[SegDataSample]:
        """Predicts ``inputs`` and ``data_samples``, as ``collate_fn`` returns them; on the CPU."""
        settings = dict(self._test_cfg, keep_boxes=keep_boxes, keep_logits=False)
        with self._lock, torch.autocast(self.device.type, self._dtype,
                                        enabled=self._dtype is not None):
            test_cfg = self.model.test_cfg
            try:
                self.model.test_cfg = {**(test_cfg or {}), **settings}
                samples = self.model.test_step(inputs)
            finally:
                self.model.test_cfg = test_cfg
        return [sample.cpu() for sample in samples]

    def regroup(self, prediction: SegDataSample, **grouper_options: Any) -> InstanceData:
        """As of the parent; the result is MMEngine's ``InstanceData``."""
        return to_instance_data(super().regroup(prediction, **grouper_options))

    def visualize(self,
                  inputs: list[np.ndarray],
                  preds: list[SegDataSample],
                  return_vis: bool = False,
                  show: bool = False,
                  wait_time: float = 0,
                  vis_dir: Path | None = None,
                  score_thr: float = DEFAULT_SCORE_THR) -> list[np.ndarray]:
        """Draws predictions on their images, (H, W, 3) uint8 BGR; arguments as of :meth:`__call__`,
        and ``vis_dir`` gets ``NAME.jpg`` of each.

        Returns:
            list[np.ndarray]: RGB (H', W', 3) uint8, small images enlarged and those larger than
            ``draw_size`` reduced; none unless ``return_vis``.
        """
        if not (return_vis or show or vis_dir):
            return []
        drawn = []
        for array, sample in zip(inputs, preds, strict=True):
            image = draw_prediction(array[..., ::-1], sample.pred_instances,
                                    self.dataset_meta['thing_classes'], score_thr, self.draw_size)
            if show:
                Visualizer.get_instance('inferencer').show(image, sample.name, wait_time)
            if vis_dir:
                write_image(image, str(vis_dir / f'{sample.name}.jpg'))
            if return_vis:
                drawn.append(image)
        return drawn

    def postprocess(self,
                    preds: list[SegDataSample],
                    visualization: list[np.ndarray],
                    return_datasamples: bool = False,
                    pred_dir: Path | None = None,
                    score_thr: float = 0.) -> dict:
        """Packs predictions and drawings as :meth:`__call__` returns them, and writes dictionaries
        to ``pred_dir``, as ``NAME.json``; instances below ``score_thr`` are in none."""
        results = preds
        if pred_dir is not None or not return_datasamples:
            results = [prediction_dict(sample, self.dataset_meta['thing_classes'], score_thr)
                       for sample in preds]
        if pred_dir is not None:
            for each in results:
                write_json(each, pred_dir / f'{each["name"]}.json')
        return dict(predictions=preds if return_datasamples else results,
                    visualization=visualization)
