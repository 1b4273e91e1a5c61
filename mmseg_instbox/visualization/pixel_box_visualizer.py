from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmseg.registry import TASK_UTILS, VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType

from ..core.base_grouper import find_cells
from ..core.box_iou import box_iou
from ..core.grouping import Candidates
from ..core.pixel_box_grouper import PixelBoxGrouper
from ..errors import InvalidInputError
from .box_targets import draw_deltas, draw_target_boxes
from .drawing import DrawnObjects, draw_labels, draw_objects, join_panels, line_width, to_canvas
from .inst_box_local_visualizer import InstBoxLocalVisualizer
from .predictions import shown_indices
from .utils import check_image
from .vote_field import DARK, dim, draw_vote_field

STAGES = ('votes', 'candidates', 'instances')
MAX_DRAWN = 200  # candidates, those with most votes
MIN_IOU = 0.4  # of a candidate with the instance that it became
LOST_COLOR = (200, 200, 200)
LARGEST_DOT = 0.025  # radius for the most votes, in lengths of the image's longer side


@VISUALIZERS.register_module()
class PixelBoxVisualizer(InstBoxLocalVisualizer):
    """Draw how instances come about, step by step, beside the ground truth.

    Panels show the votes, where each cell of a thing sees the centre of its object
    (:func:`~mmseg_instbox.visualization.draw_vote_field`); the candidates, boxes on which votes
    agree, in the colour of the instance that they became or grey; and the instances. They come from
    ``pred_boxes`` and ``pred_probs``, which a model keeps with ``test_cfg.keep_boxes=True``;
    ``PixelBoxVisualizationHook`` sees to that.

    Args:
        grouper: Config of the :class:`PixelBoxGrouper` whose candidates are drawn; give the model's
            own where it is not the default.
        stages: Which of 'votes', 'candidates' and 'instances' are drawn, in this order.
        columns: Panels side by side before the next row begins.
        **kwargs: See :class:`InstBoxLocalVisualizer`.

    Raises:
        ValueError: There is no stage or an unknown one, or the grouper counts no votes.
    """

    def __init__(self,
                 name: str = 'visualizer',
                 *,
                 grouper: ConfigType = dict(type='PixelBoxGrouper'),
                 stages: Sequence[str] = STAGES,
                 columns: int = 2,
                 **kwargs) -> None:
        super().__init__(name, **kwargs)
        if not stages or not set(stages) <= set(STAGES):
            raise InvalidInputError(f'stages of PixelBoxVisualizer is {stages!r}; expected some of '
                                    f'{STAGES}')
        self.grouper = TASK_UTILS.build(grouper)
        if not hasattr(self.grouper, 'vote'):
            raise InvalidInputError(f'{grouper["type"]} counts no votes that PixelBoxVisualizer '
                                    "could draw: give it grouper=dict(type='PixelBoxGrouper'), or "
                                    'use InstBoxLocalVisualizer')
        self.stages = tuple(stages)
        self.columns = columns

    def draw_training_sample(self,
                             image: np.ndarray,
                             data_sample: SegDataSample,
                             caption: str = 'image') -> np.ndarray:
        """Draw a training sample: the image, masks and boxes, and the box targets if it has them.

        Args:
            image (np.ndarray): RGB image, (H, W, 3) uint8.
            data_sample (SegDataSample): With ground truth in pixels of ``image``, and box targets
                if :func:`~mmseg_instbox.visualization.add_box_targets` wrote them.
            caption (str): What is written above the image.

        Raises:
            ValueError: The image is not (H, W, 3) uint8, or the ground truth has another size.
        """
        check_image(image)
        canvas = to_canvas(image, self.min_size, self.draw_size)
        truth, _ = self._draw_gt(data_sample, image.shape[:2], canvas, True)
        panels = {caption: canvas, 'masks and boxes': truth}
        if 'gt_boxes' in data_sample:
            deltas = np.asarray(data_sample.gt_deltas.data)
            size = f'{deltas.shape[1]} x {deltas.shape[2]}'
            panels[f'box targets of {size} cells: lines lead to the centre'] = draw_target_boxes(
                canvas, data_sample)
            panels['box targets as the numbers to learn'] = draw_deltas(
                canvas, deltas, data_sample.delta_names)
        return join_panels({name: each for name, each in panels.items() if each is not None},
                           self.columns)

    def _draw_found(self, sample: SegDataSample, size: tuple[int, int], canvas: np.ndarray,
                    found: DrawnObjects, thr: float) -> dict[str, np.ndarray]:
        """Draw the stages by caption."""
        missing = [name for name in ('pred_boxes', 'pred_probs', 'grid_extent')
                   if name not in sample]
        if missing:
            raise InvalidInputError(
                f'A sample without {", ".join(missing)} shows no votes and no candidates: let the '
                'model keep them with model.test_cfg.keep_boxes=True, or take '
                "default_hooks.visualization of type 'PixelBoxVisualizationHook', which sees to "
                'it.')
        boxes, probs, panels = sample.pred_boxes.data, sample.pred_probs.data, {}
        thing_ids, extent = self._thing_ids(len(probs)), sample.grid_extent
        y, x = (new / old for new, old in zip(canvas.shape[:2], size, strict=True))
        scale = boxes.new_tensor([x, y, x, y])
        for stage in self.stages:
            if stage == 'votes':
                panels['votes: each cell points to the centre of its object'] = draw_vote_field(
                    canvas, boxes * scale[:, None, None], probs, thing_ids,
                    (extent[0] * y, extent[1] * x))
            elif stage == 'candidates':
                votes = find_candidates(self.grouper, boxes, probs, size, thing_ids, extent)
                labels = np.asarray(sample.pred_instances.labels)[
                    shown_indices(sample.pred_instances, thr)]
                votes = votes._replace(boxes=votes.boxes * scale)
                owners = match_candidates(votes, found.boxes, np.array(thing_ids)[labels])
                panels[f'candidates: {len(owners)} boxes on which votes agree'] = draw_candidates(
                    canvas, votes, owners, found.colors, found.texts is not None)
            else:
                panels['instances: each cell goes to the box that fits its own'] = draw_objects(
                    canvas, found, self.alpha)
        return panels

    def _thing_ids(self, num_classes: int) -> list[int]:
        """Index of each thing class among the categories of ``pred_probs``."""
        classes = list(self.dataset_meta.get('classes', ()))
        things = self.dataset_meta.get('thing_classes')
        if things is None or not classes:
            return list(range(1, num_classes))
        return [classes.index(name) for name in things]


@torch.no_grad()
def find_candidates(grouper: PixelBoxGrouper, boxes: torch.Tensor, probs: torch.Tensor,
                    img_shape: tuple[int, int], thing_ids: Sequence[int],
                    extent: tuple[float, float]) -> Candidates:
    """Find the candidates of an image before they are merged, most votes first; their ``labels``
    are categories among all. Arguments and errors as of :func:`.draw_vote_field`."""
    cells, _ = find_cells(probs, boxes, img_shape, thing_ids, extent)
    return grouper.vote(cells)[1] if len(cells.index) else Candidates(*cells[:3])


def match_candidates(candidates: Candidates, bboxes: np.ndarray,
                     categories: np.ndarray) -> np.ndarray:
    """Tell which of N instances each candidate became: ``(K,)`` int64, that of its category whose
    box has the highest IoU with the candidate's, from ``MIN_IOU`` on; -1 for none."""
    if not len(bboxes):
        return np.full(len(candidates.labels), -1)
    boxes = torch.as_tensor(bboxes, dtype=torch.float32)
    iou = np.asarray(box_iou(candidates.boxes[:, None].float(), boxes[None]))
    iou = iou * (np.asarray(candidates.labels)[:, None] == categories)
    return np.where(iou.max(axis=1) >= MIN_IOU, iou.argmax(axis=1), -1)


def draw_candidates(image: np.ndarray, candidates: Candidates, owners: np.ndarray,
                    colors: np.ndarray, with_labels: bool = True) -> np.ndarray:
    """Draw candidates, most votes first, as boxes on an RGB image ``(H, W, 3)`` uint8, with a dot
    at the centre, the larger the more votes.

    ``owners`` ``(K,)`` is the instance that each became, which has a colour of ``colors``
    ``(N, 3)`` uint8, or -1, drawn grey. A label on the first of an instance says its votes.
    """
    canvas = dim(image)
    boxes = np.rint(np.asarray(candidates.boxes)[:MAX_DRAWN]).astype(int)
    votes, owners = np.asarray(candidates.votes)[:MAX_DRAWN], owners[:MAX_DRAWN]
    palette = np.concatenate([colors.reshape(-1, 3), [LOST_COLOR]]).astype(np.uint8)
    largest = LARGEST_DOT * max(canvas.shape[:2]) / np.sqrt(votes.max(initial=1e-9))
    radii = np.maximum(np.rint(np.sqrt(votes) * largest), 2).astype(int)
    paint_order = np.lexsort((votes, owners >= 0))  # many votes above few, found above lost
    for i in paint_order:
        cv2.rectangle(canvas, boxes[i, :2].tolist(), (boxes[i, 2:] - 1).tolist(),
                      palette[owners[i]].tolist(), line_width(canvas))
    for i in paint_order:
        centre = (boxes[i].reshape(2, 2).sum(axis=0) // 2).tolist()
        cv2.circle(canvas, centre, radii[i] + 1, DARK, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, radii[i], palette[owners[i]].tolist(), -1, cv2.LINE_AA)
    if not with_labels:
        return canvas
    _, first = np.unique(owners, return_index=True)
    first = first[owners[first] >= 0]
    texts = [f'{votes[i]:.0f} votes' if votes[i] >= 10 else f'{votes[i]:.1f} votes' for i in first]
    return draw_labels(canvas, boxes[first], texts, palette[owners[first]])
