"""Drawing of predicted instances, without MMSegmentation."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..utils import DEFAULT_SCORE_THR, DRAW_SIZE
from .drawing import DrawnObjects, canvas_crops, draw_objects, instance_colors, to_canvas
from .utils import check_image, check_size

MIN_SIZE = 720  # pixels of the longer side of a drawing
ALPHA = 0.45  # opacity of masks


def draw_prediction(image: np.ndarray, instances: Any, names: Sequence[str],
                     score_thr: float = DEFAULT_SCORE_THR,
                     draw_size: int | None = DRAW_SIZE) -> np.ndarray:
    """Draw predicted instances as :class:`.InstBoxLocalVisualizer` does by default.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        instances: ``pred_instances`` of the image: ``masks`` (a map, planes ``(N, H, W)`` bool or
            run lengths), ``bboxes`` ``(N, 4)``, ``labels`` ``(N,)`` and ``scores`` ``(N,)``.
        names: Name of each label.
        score_thr: Instances of a lower score are not drawn.
        draw_size: Largest side of the drawing in pixels; None sets no limit.

    Returns:
        np.ndarray: ``(H', W', 3)`` uint8 RGB; small images are enlarged.

    Raises:
        ValueError: The image is not (H, W, 3) uint8, a mask has another size, or a label has no
            name.
    """
    check_image(image)
    canvas = to_canvas(image, MIN_SIZE, draw_size)
    found = predicted_objects(instances, names, image.shape[:2], canvas, score_thr)
    return draw_objects(canvas, found, ALPHA)


def predicted_objects(instances: Any, names: Sequence[str], size: tuple[int, int],
                      canvas: np.ndarray, score_thr: float,
                      with_labels: bool = True) -> DrawnObjects:
    """Collect the instances of an image of a ``size`` (H, W) from a score on, best first, in
    pixels of the canvas; other arguments as of :func:`draw_prediction`."""
    masks, keep = instances.masks, shown_indices(instances, score_thr)
    if not isinstance(masks, list):  # of run lengths
        check_size(masks, size, 'pred_instances.masks')
    is_map = getattr(masks, 'inst_map', None) is not None
    masks = masks[keep] if is_map else [masks[index] for index in keep]
    boxes, labels, scores = (np.asarray(instances[key])[keep]
                             for key in ('bboxes', 'labels', 'scores'))
    texts = [f'{name} {score:.2f}'
             for name, score in zip(label_names(labels, names), scores, strict=True)]
    return on_canvas(masks, boxes, texts if with_labels else None, size, canvas)


def shown_indices(instances: Any, score_thr: float) -> np.ndarray:
    """Indices (K,) of the instances with scores from ``score_thr`` on, best first."""
    scores = np.asarray(instances.scores)
    order = np.argsort(-scores, kind='stable')
    return order[scores[order] >= score_thr]


def label_names(labels: np.ndarray, names: Sequence[str]) -> list[str]:
    """Give the name of each label (N,); without any names, 'class 3'."""
    outside = [label for label in labels.tolist() if not 0 <= label < len(names)]
    if len(names) and outside:
        raise InvalidInputError(f'Label {outside[0]} of an instance is outside thing_classes, '
                                f'which has {len(names)} names: give the visualizer the '
                                'dataset_meta of the data set that the labels come from.')
    return [names[label] if len(names) else f'class {label}' for label in labels.tolist()]


def on_canvas(masks: Any, boxes: np.ndarray, texts: list[str] | None, size: tuple[int, int],
              canvas: np.ndarray) -> DrawnObjects:
    """Bring masks and boxes (N, 4) of an image of a ``size`` (H, W) to a canvas."""
    shape = canvas.shape[:2]
    scale = np.tile(np.array(shape[::-1]) / size[::-1], 2)
    return DrawnObjects(canvas_crops(masks, size, shape), boxes * scale, texts,
                        instance_colors(len(boxes)))
