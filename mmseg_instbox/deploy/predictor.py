"""What all predictors share: reading images, batches, failures and grouping again.

Nothing here imports OpenMMLab.
"""
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..core.groupers import GROUPERS, build_grouper
from ..errors import InvalidInputError
from ..utils.foreign_errors import describe
from ..utils.inputs import InputImage, read_inputs
from ..utils.run_lengths import encode_crop, mask_crops


class LoadedImage(NamedTuple):
    """An image, its pixels, and what :meth:`Predictor._prepare` makes of them."""
    image: InputImage
    array: np.ndarray
    size: tuple[int, ...]
    prepared: Any


class Predictor(ABC):
    """Turns images into predictions, a batch at a time.

    :class:`~mmseg_instbox.apis.InstBoxInferencer` runs models of MMSegmentation,
    :class:`~mmseg_instbox.deploy.ExportedModel` exported files. A subclass prepares images, runs
    the network on a batch, and says which grouper the model has.

    Attributes:
        dataset_meta: ``classes``, ``thing_classes`` and ``palette``.
        thing_ids: Indices of the categories that have instances.
        failures: Name and reason of each input of the last call that was skipped.
        show_progress: Whether :func:`~mmseg_instbox.apis.annotate_video` shows a progress bar.
    """
    dataset_meta: dict[str, Any]
    thing_ids: Sequence[int]
    failures: list[tuple[str, str]]
    show_progress: bool = True
    _grouper_config: Mapping[str, Any]
    _find_grouper: Callable[[str], type | None] = GROUPERS.get

    def stream(self, inputs: Any, batch_size: int = 1, keep_boxes: bool = False,
               on_error: str = 'raise') -> Iterator[Any]:
        """Predicts one image after another; memory does not grow with their number.

        Args:
            inputs: See :func:`~mmseg_instbox.utils.inputs.read_inputs`; at most one batch is read
                ahead.
            batch_size: Number of images in a forward pass, if they have one size.
            keep_boxes: Whether predictions carry what :meth:`regroup` needs.
            on_error: ``'raise'``, or ``'skip'`` to leave out images that fail and list them in
                ``failures``.

        Returns:
            Iterator: Predictions on the CPU, in pixels of the image: ``pred_sem_seg.data``
            ``(1, H, W)`` int64; ``pred_instances`` with ``masks`` ``(N, H, W)`` bool, a map of
            the image until they are read (:class:`~mmseg_instbox.core.instances.InstanceMasks`),
            ``labels`` ``(N,)``, ``scores`` ``(N,)`` and ``bboxes`` ``(N, 4)``, best score first;
            ``name``, ``img_path`` (None for arrays) and ``ori_shape``; with ``keep_boxes`` also
            ``pred_boxes.data`` ``(4, h, w)``, ``pred_probs.data`` ``(C, h, w)`` and
            ``grid_extent``.

        Raises:
            ValueError: An input cannot be read, or an argument is invalid.
            FileNotFoundError: A file does not exist.
        """
        pairs = self.stream_with_images(inputs, batch_size, keep_boxes, on_error)
        return (prediction for _, prediction in pairs)

    def stream_with_images(self, inputs: Any, batch_size: int = 1, keep_boxes: bool = False,
                           on_error: str = 'raise') -> Iterator[tuple[np.ndarray, Any]]:
        """As :meth:`stream`, each prediction with its image ``(H, W, 3)`` uint8 BGR."""
        if not isinstance(batch_size, int) or batch_size < 1:
            raise InvalidInputError('batch_size is a number of images, 1 or more, got '
                                    f'{batch_size!r}.')
        if on_error not in ('raise', 'skip'):
            raise InvalidInputError(f"on_error is 'raise' or 'skip', got {on_error!r}.")
        self.failures = []
        skip = on_error == 'skip'
        return self._predict(self._load(read_inputs(inputs), skip), batch_size, keep_boxes, skip)

    def _load(self, images: Iterable[InputImage], skip: bool) -> Iterator[LoadedImage]:
        """Loads and prepares each image."""
        for image in images:
            try:
                array = image.load()
                loaded = LoadedImage(image, array, *self._prepare(array))
            except Exception as error:
                self._handle(error, image, skip)
            else:
                yield loaded

    def _handle(self, error: Exception, image: InputImage, skip: bool) -> None:
        """Lists a failed image, or raises the error."""
        if not skip:
            raise error
        self.failures.append((image.name, describe(error, image.path or image.name)))

    def _predict(self, loaded: Iterator[LoadedImage], batch_size: int, keep_boxes: bool,
                 skip: bool) -> Iterator[tuple[np.ndarray, Any]]:
        while batch := list(islice(loaded, batch_size)):
            found = self._predict_sizes(batch, keep_boxes, skip)
            pairs = []
            for each, prediction in zip(batch, found, strict=True):
                if prediction is not None:
                    prediction.set_metainfo(dict(name=each.image.name, img_path=each.image.path))
                    pairs.append((each.array, prediction))
            del batch, found, each, prediction  # so that only the caller keeps predictions
            yield from pairs
            del pairs

    def _predict_sizes(self, batch: Sequence[LoadedImage], keep_boxes: bool,
                       skip: bool) -> list[Any]:
        """Predicts images of equal size together; padding would change what the network sees. If
        that fails, each is tried alone; None stands for those that fail then."""
        predictions: list[Any] = [None] * len(batch)
        sizes = [each.size for each in batch]
        groups = [[i for i, each in enumerate(sizes) if each == size]
                  for size in dict.fromkeys(sizes)]
        while groups:
            members = groups.pop(0)
            try:
                found = self._predict_batch([batch[i].prepared for i in members], keep_boxes)
            except Exception as error:
                if len(members) == 1 or not skip:
                    self._handle(error, batch[members[0]].image, skip)
                else:
                    groups += [[i] for i in members]
                continue
            for i, prediction in zip(members, found, strict=True):
                predictions[i] = prediction
        return predictions

    @abstractmethod
    def _prepare(self, image: np.ndarray) -> tuple[tuple[int, ...], Any]:
        """Gives the size of the network's input for an image, and what the network takes."""

    @abstractmethod
    def _predict_batch(self, batch: list[Any], keep_boxes: bool) -> list[Any]:
        """Predicts prepared images of one size."""

    def regroup(self, prediction: Any, **grouper_options: Any) -> Any:
        """Groups the boxes of a prediction again, without the network.

        Args:
            prediction: Of :meth:`stream` with ``keep_boxes=True``.
            **grouper_options: Arguments of the model's grouper that change, such as
                ``min_gain=0.1``; or ``type`` and all arguments of another grouper.

        Returns:
            InstanceData: As ``pred_instances``.

        Raises:
            ValueError: The prediction has no boxes, or the grouper does not take an option.
        """
        if getattr(prediction, 'pred_boxes', None) is None:
            raise InvalidInputError('The prediction has no boxes to group again: make it with '
                                    'stream(..., keep_boxes=True).')
        own = {} if 'type' in grouper_options else self._grouper_config
        return build_grouper({**own, **grouper_options}, self._find_grouper)(
            prediction.pred_probs.data, prediction.pred_boxes.data, prediction.ori_shape,
            self.thing_ids, prediction.grid_extent, prediction.pred_sem_seg.data[0])


def prediction_dict(prediction: Any, thing_classes: Sequence[str],
                    score_thr: float = 0.) -> dict[str, Any]:
    """Turns a prediction into numbers and strings, ready for JSON.

    Args:
        prediction: As of :meth:`Predictor.stream`.
        thing_classes: Names of the labels.
        score_thr: Instances of a lower score are left out.

    Returns:
        dict: ``name``, ``img_path`` (or None), ``height``, ``width``; and for each instance, best
        first, an entry of ``labels`` (index into ``thing_classes``), ``label_names``, ``scores``,
        ``bboxes`` (x1, y1, x2, y2 in pixels, right and bottom edge exclusive) and ``masks`` (COCO's
        RLE, a dict of ``size`` and string ``counts``).
    """
    found = prediction.pred_instances
    found = found[found.scores >= score_thr]
    labels, shape = found.labels.tolist(), tuple(prediction.ori_shape)
    return dict(
        name=prediction.name,
        img_path=prediction.img_path,
        height=int(shape[0]),
        width=int(shape[1]),
        labels=labels,
        label_names=[str(thing_classes[label]) for label in labels],
        scores=found.scores.tolist(),
        bboxes=found.bboxes.tolist(),
        masks=[encode_crop(crop, shape) for crop in mask_crops(found.masks)])


def tile_test_cfg(tile: int | tuple[int, int] | None) -> dict[str, Any]:
    """Gives the ``test_cfg`` of tiles of a (height, width) that overlap by half; none for None.

    Raises:
        ValueError: ``tile`` is no size.
    """
    if tile is None:
        return {}
    size = tuple(tile) if isinstance(tile, tuple | list) else (tile, tile)
    if len(size) != 2 or not all(isinstance(side, int) and side >= 64 for side in size):
        raise InvalidInputError('tile is the side of a tile in pixels, or its (height, width), 64 '
                                f'or more; got {tile!r}.')
    return dict(mode='slide', crop_size=size, stride=tuple(side // 2 for side in size))
