import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmseg.registry import TASK_UTILS
from mmseg.structures import SegDataSample
from rich.progress import track
from torch import nn

from ..errors import InstBoxError, InvalidInputError
from ..utils import write_json
from ..visualization import InstBoxLocalVisualizer
from .inferencer_settings import (
    autocast_dtype,
    bounded,
    build_pipeline,
    check_calls,
    check_exported,
    default_weights,
    model_meta,
    tile_test_cfg,
)
from .inputs import InputImage, read_inputs
from .prediction_dict import prediction_dict


class InstBoxInferencer(BaseInferencer):
    """Pictures in, instances out: an inferencer as mmseg's and mmdet's.

    Extends :class:`mmengine.infer.BaseInferencer`. Models are read without running code from a
    checkpoint, see :func:`~mmseg_instbox.apis.model_loading.load_model`.

    Masks of an image take at most 1.2 GB, a byte a pixel and instance, unless the model's grouper
    sets ``max_mask_bytes``: 100 instances of 12 million pixels, 4,800 of 500 x 500.
    Beyond that those of lowest score are left out, with a warning.

    Args:
        model: Name of a model of ours, path of a config, checkpoint that carries its config, or
            exported model (``.onnx``, ``.xml``); or a model that is loaded (``init_model``). By
            default the one that comes with the package.
        weights: Checkpoint, where ``model`` is a name or a config.
        device: As of torch; by default a GPU if there is one, else the CPU.
        precision: ``'fp32'``, ``'bf16'`` or, on a GPU, ``'fp16'``: the type of the network's
            convolutions; boxes and grouping are always fp32.
        cfg_options: Changes of the config, as ``{'model.test_cfg.shifts': 2}``.
        allow_pickle: Reads a checkpoint that holds more than weights, which can run any code.
        show_progress: Whether a call shows a progress bar.
        tile: Side of a tile in pixels, or its (height, width). Pictures are then predicted at their
            own size, tile by tile, half a tile apart, instead of being scaled as the config says;
            objects of up to a quarter of a tile's side lie whole in the tile that decides on them.

    Attributes:
        model: The segmentor.
        dataset_meta: ``classes``, ``thing_classes`` and ``palette``.
        failures: Name and reason of each input of the last call that was skipped.

    Raises:
        ValueError: A model that finds no instances or has no names of categories, an unknown
            precision or one that the device lacks, or tiles that are no sizes.
        FileNotFoundError: A file that does not exist.
    """

    def __init__(self,
                 model: str | Path | nn.Module | None = None,
                 weights: str | Path | None = None,
                 device: str | None = None,
                 precision: str = 'fp32',
                 cfg_options: dict | None = None,
                 allow_pickle: bool = False,
                 show_progress: bool = True,
                 tile: int | tuple[int, int] | None = None) -> None:
        init_default_scope('mmseg')
        if isinstance(model, nn.Module):
            self._loaded = model if device is None else model.to(device)
        else:
            from .model_loading import load_model
            names = (weights or default_weights(), None) if model is None else (model, weights)
            self._loaded = fuse_conv_bn(  # saves a fifth of the network's time
                load_model(*names, device, cfg_options, allow_pickle))
        self.dataset_meta = model_meta(self._loaded)
        self.tile = tile
        self._test_cfg = tile_test_cfg(tile)
        super().__init__(self._loaded.cfg, device=device, scope='mmseg',
                         show_progress=show_progress)
        self.device = next(self.model.parameters(), torch.empty(0)).device
        self._dtype = autocast_dtype(precision, self.device)
        check_exported(self.model, precision)
        self._lock = threading.Lock()
        self.failures: list[tuple[str, str]] = []

    def _init_model(self, *_: Any) -> nn.Module:
        """The model that is loaded already; mmengine's loader would read any pickle."""
        return self._loaded.eval()

    def _init_pipeline(self, cfg: Any) -> Callable:
        """The test pipeline from an array on."""
        return build_pipeline(cfg, at_own_size=self.tile is not None)

    def _init_collate(self, cfg: Any) -> Callable:
        """Images of several sizes go into a batch as a list."""
        return pseudo_collate

    def _init_visualizer(self, cfg: Any) -> InstBoxLocalVisualizer:
        """Draws instances, whatever the config draws in validation."""
        visualizer = InstBoxLocalVisualizer('inferencer')
        visualizer.set_dataset_meta(**self.dataset_meta)
        return visualizer

    def __call__(self,
                 inputs: Any,
                 batch_size: int = 1,
                 return_datasamples: bool = False,
                 return_vis: bool = False,
                 out_dir: str | Path = '',
                 score_thr: float = 0.2,
                 show: bool = False,
                 wait_time: float = 0,
                 on_error: str = 'raise') -> dict:
        """Predicts all inputs and gives the results together; :meth:`stream` gives one by one.

        Args:
            inputs: See :func:`~mmseg_instbox.apis.inputs.read_inputs`.
            batch_size: Images that the network sees at once, if they are of one size.
            return_datasamples: Give data samples, with masks as arrays, instead of dictionaries.
            return_vis: Give pictures of the predictions.
            out_dir: Folder for pictures, ``vis/NAME.jpg``, and predictions, ``preds/NAME.json``.
            score_thr: Instances below are in no picture and no dictionary.
            show: Open a window for each image.
            wait_time: Seconds that the window stays; 0 waits for a key.
            on_error: ``'raise'``, or ``'skip'`` to leave out images that cannot be read and list
                them in ``failures``.

        Returns:
            dict: ``predictions``, for each image a dictionary as of
            :func:`~mmseg_instbox.apis.prediction_dict.prediction_dict` or a data sample;
            ``visualization``, RGB arrays (H', W', 3) uint8 if ``return_vis``, else empty.

        Raises:
            ValueError: An input that cannot be read, or an argument that cannot be.
            FileNotFoundError: A file that does not exist.
        """
        images = read_inputs(inputs)
        predicted = self.stream_with_images(images, batch_size, on_error=on_error)
        folder = Path(out_dir) if str(out_dir) else None
        results: dict[str, list] = dict(predictions=[], visualization=[])
        for array, sample in track(predicted, 'Inference', images.total,
                                   disable=not self.show_progress):
            drawn = self.visualize([array], [sample], return_vis, show, wait_time,
                                   folder and folder / 'vis', score_thr)
            given = self.postprocess([sample], drawn, return_datasamples,
                                     folder and folder / 'preds', score_thr)
            for key, values in given.items():
                results[key] += values
        return results

    def stream(self, inputs: Any, batch_size: int = 1, keep_boxes: bool = False,
               on_error: str = 'raise') -> Iterator[SegDataSample]:
        """Predictions one after another; memory does not grow with their number.

        Args:
            inputs: See :func:`~mmseg_instbox.apis.inputs.read_inputs`; no more than a batch is read
                ahead.
            batch_size: Images that the network sees at once.
            keep_boxes: Whether samples carry what :meth:`regroup` needs.
            on_error: As of the call.

        Returns:
            Iterator[SegDataSample]: On the CPU, in pixels of the image: ``pred_sem_seg``
            ``(1, H, W)`` int64; ``pred_instances`` with ``masks`` ``(N, H, W)`` bool, ``labels``,
            ``scores``, ``bboxes``, best first; metainfo ``name``, ``img_path`` (None for arrays)
            and ``ori_shape``; with ``keep_boxes`` also ``pred_boxes``, ``pred_scores`` and the
            metainfo ``grid_extent``.

        Raises:
            ValueError: As of the call.
            FileNotFoundError: As of the call.
        """
        pairs = self.stream_with_images(inputs, batch_size, keep_boxes, on_error)
        return (sample for _, sample in pairs)

    def stream_with_images(self, inputs: Any, batch_size: int = 1, keep_boxes: bool = False,
                           on_error: str = 'raise') -> Iterator[tuple[np.ndarray, SegDataSample]]:
        """As :meth:`stream`, each prediction with its picture (H, W, 3) uint8 BGR."""
        check_calls(batch_size, on_error)
        self.failures = []
        loaded = self._load(read_inputs(inputs), on_error == 'skip')
        return self._predict(loaded, batch_size, keep_boxes)

    def _load(self, images: Iterable[InputImage],
              skip: bool) -> Iterator[tuple[InputImage, np.ndarray, dict]]:
        """Each image, its array and what the pipeline makes of it."""
        for image in images:
            try:
                array = image.load()
                data = self.pipeline(dict(img=array))
            except (InstBoxError, OSError) as error:
                if not skip:
                    raise
                self.failures.append((image.name, str(error)))
                continue
            yield image, array, data

    def _predict(self, loaded: Iterator[tuple[InputImage, np.ndarray, dict]], batch_size: int,
                 keep_boxes: bool) -> Iterator[tuple[np.ndarray, SegDataSample]]:
        while batch := list(islice(loaded, batch_size)):
            samples = self._predict_batch([data for _, _, data in batch], keep_boxes)
            pairs = [(array, sample) for (_, array, _), sample in zip(batch, samples, strict=True)]
            for (image, _, _), sample in zip(batch, samples, strict=True):
                sample.set_metainfo(dict(name=image.name, img_path=image.path))
            del batch, samples, image, sample
            yield from pairs
            del pairs

    def _predict_batch(self, batch: list[dict], keep_boxes: bool) -> list[SegDataSample]:
        """Predicts images of one size together; padded, they would see their neighbours' size."""
        samples: list[SegDataSample | None] = [None] * len(batch)
        sizes = [tuple(data['inputs'].shape) for data in batch]
        for size in dict.fromkeys(sizes):
            members = [i for i, each in enumerate(sizes) if each == size]
            found = self.forward(self.collate_fn([batch[i] for i in members]), keep_boxes)
            for i, sample in zip(members, found, strict=True):
                samples[i] = sample
        return samples

    @torch.no_grad()
    def forward(self, inputs: dict, keep_boxes: bool = False) -> list[SegDataSample]:
        """Predicts a batch.

        Args:
            inputs: ``inputs`` and ``data_samples`` as the pipeline and ``collate_fn`` give them.
            keep_boxes: As of :meth:`stream`.

        Returns:
            list[SegDataSample]: On the CPU.
        """
        settings = dict(self._test_cfg, keep_boxes=keep_boxes, keep_logits=False)
        precision = contextlib.nullcontext() if self._dtype is None else torch.autocast(
            self.device.type, self._dtype)
        with self._lock, self._lent(settings), precision:
            samples = self.model.test_step(inputs)
        return [sample.cpu() for sample in samples]

    @contextlib.contextmanager
    def _lent(self, settings: dict) -> Iterator[None]:
        """The model with other settings for testing, and its own ones afterwards."""
        test_cfg, grouper = self.model.test_cfg, self.model.grouper
        try:
            self.model.test_cfg = {**(test_cfg or {}), **settings}
            self.model.grouper = bounded(grouper)
            yield
        finally:
            self.model.test_cfg, self.model.grouper = test_cfg, grouper

    def regroup(self, sample: SegDataSample, **grouper_options: Any) -> InstanceData:
        """Groups the boxes of a sample again, without the network.

        Args:
            sample: Of :meth:`stream` with ``keep_boxes=True``.
            **grouper_options: Arguments of the model's grouper that change, such as
                ``min_gain=0.1``; or ``type`` and all arguments of another grouper.

        Returns:
            InstanceData: As ``pred_instances``.

        Raises:
            ValueError: A sample without boxes, or an option that the grouper does not have or take.
        """
        if 'pred_boxes' not in sample or 'pred_scores' not in sample:
            raise InvalidInputError('The sample has no boxes to group again: make it with '
                                    'stream(..., keep_boxes=True).')
        own = self.model.cfg.model.get('grouper') or dict(type='PixelBoxGrouper')
        config = grouper_options if 'type' in grouper_options else {**own, **grouper_options}
        try:
            grouper = bounded(TASK_UTILS.build(dict(config)))
        except TypeError as error:
            raise InvalidInputError(f'The grouper does not take these options: {error}.') from error
        return grouper(sample.pred_scores.data, sample.pred_boxes.data, sample.ori_shape,
                       self.model.thing_ids, sample.grid_extent, sample.pred_sem_seg.data[0])

    def visualize(self,
                  inputs: list[np.ndarray],
                  preds: list[SegDataSample],
                  return_vis: bool = False,
                  show: bool = False,
                  wait_time: float = 0,
                  vis_dir: Path | None = None,
                  score_thr: float = 0.2) -> list[np.ndarray]:
        """Draws predictions.

        Args:
            inputs: The pictures, (H, W, 3) uint8 BGR.
            preds: Their predictions.
            return_vis: Whether to give the drawn pictures.
            show: Whether to open a window for each.
            wait_time: Seconds that it stays; 0 waits for a key.
            vis_dir: Folder to write them to, as ``NAME.jpg``.
            score_thr: Instances below are not drawn.

        Returns:
            list[np.ndarray]: RGB, (H', W', 3) uint8, enlarged where small; none unless
            ``return_vis``.
        """
        if not (return_vis or show or vis_dir):
            return []
        drawn = []
        for array, sample in zip(inputs, preds, strict=True):
            self.visualizer.add_datasample(
                sample.name, array[..., ::-1], sample, draw_gt=False, show=show,
                wait_time=wait_time, score_thr=score_thr,
                out_file=str(vis_dir / f'{sample.name}.jpg') if vis_dir else None)
            drawn.append(self.visualizer.get_image())
        return drawn if return_vis else []

    def postprocess(self,
                    preds: list[SegDataSample],
                    visualization: list[np.ndarray],
                    return_datasamples: bool = False,
                    pred_dir: Path | None = None,
                    min_score: float = 0.) -> dict:
        """Packs predictions, and writes them as JSON.

        Args:
            preds: Predictions.
            visualization: Pictures, or nothing.
            return_datasamples: Give the data samples themselves.
            pred_dir: Folder to write dictionaries to, as ``NAME.json``.
            min_score: Instances below are in no dictionary.

        Returns:
            dict: As of the call.
        """
        things = self.dataset_meta['thing_classes']
        results = preds
        if pred_dir is not None or not return_datasamples:
            results = [prediction_dict(sample, things, min_score) for sample in preds]
        if pred_dir is not None:
            for each in results:
                write_json(each, pred_dir / f'{each["name"]}.json')
        return dict(predictions=preds if return_datasamples else results,
                    visualization=visualization)
