from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.structures import PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.utils import get_classes, get_palette
from mmseg.visualization import SegLocalVisualizer

from ..core import VOID
from ..core.instances import InstanceMasks
from ..errors import InvalidInputError
from ..utils import DEFAULT_SCORE_THR, DRAW_SIZE
from .drawing import (
    DrawnObjects,
    draw_objects,
    hatch_void,
    instance_colors,
    join_panels,
    resize_map,
    to_canvas,
)
from .predictions import ALPHA, MIN_SIZE, label_names, on_canvas, predicted_objects
from .utils import check_display, check_image, check_size, match_ids, write_image


@VISUALIZERS.register_module()
class InstBoxLocalVisualizer(SegLocalVisualizer):
    """Draw instances: a colour each, contour, box, category and score.

    Where ground truth and prediction are both drawn, they stand side by side, and a predicted
    instance has the colour of the object that it covers (IoU above 0.5). Void pixels of the
    ground truth are hatched grey. A sample without instances is drawn as
    :class:`mmseg.visualization.SegLocalVisualizer` draws it: as a category map.

    Class names come from ``dataset_meta['thing_classes']``, or else are all ``classes`` but
    'background'; without either, labels read 'class 3'.

    Args:
        name (str): Name of the visualizer.
        score_thr (float): Predicted instances of a lower score are not drawn.
        min_size (int): Images whose longer side has fewer pixels are drawn on a canvas enlarged
            by a whole factor, so that labels can be read. Defaults to 720.
        draw_size (int, optional): Images whose longer side has more pixels are drawn on a canvas
            reduced to that; None draws all at full size. Defaults to 2048.
        classes, palette, dataset_name: As in the parent; colours of categories, not of instances.
        alpha (float): Opacity of the masks, 0 to 1. Defaults to 0.45.
        **kwargs: ``image``, ``vis_backends``, ``save_dir``, ... of the parent.
    """

    columns: int | None = None  # panels side by side before the next row; all of them

    def __init__(self,
                 name: str = 'visualizer',
                 *,
                 score_thr: float = DEFAULT_SCORE_THR,
                 min_size: int = MIN_SIZE,
                 draw_size: int | None = DRAW_SIZE,
                 classes: Sequence[str] | None = None,
                 palette: Sequence | None = None,
                 dataset_name: str | None = None,
                 alpha: float = ALPHA,
                 **kwargs) -> None:
        super().__init__(name, alpha=alpha, **kwargs)
        # The parent hands classes and palette over in the wrong order, so it gets none.
        self.set_dataset_meta(classes, palette, dataset_name)
        self.score_thr = score_thr
        self.min_size = min_size
        self.draw_size = draw_size

    def set_dataset_meta(self,
                         classes: Sequence[str] | None = None,
                         palette: Sequence | None = None,
                         dataset_name: str | None = None,
                         **meta) -> None:
        """Set class names and colours; ``meta`` takes ``thing_classes`` and whatever a model has.

        Nothing given clears them (the parent would take those of Cityscapes).
        """
        if classes is None and dataset_name is not None:
            classes = get_classes(dataset_name)
            palette = get_palette(dataset_name) if palette is None else palette
        if classes is not None:
            palette = instance_colors(len(classes)).tolist() if palette is None else palette
            meta.update(classes=classes, palette=palette)
        self.dataset_meta = meta

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: SegDataSample | None = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: str | None = None,
                       step: int = 0,
                       with_labels: bool = True,
                       with_image: bool = False,
                       score_thr: float | None = None) -> None:
        """Draw a sample; show it, write it to ``out_file``, or else hand it to the backends.

        Arguments are those of the parent, and ``with_image`` and ``score_thr``.

        Args:
            image (np.ndarray): RGB image, (H, W, 3) uint8.
            data_sample (SegDataSample, optional): With ``gt_inst_map`` and ``gt_instances``
                and/or ``pred_instances``, all in pixels of ``image``.
            with_image (bool): Whether to put the bare image before the rest.
            score_thr (float, optional): Replaces the visualizer's own ``score_thr``.

        Raises:
            ValueError: The image is not (H, W, 3) uint8, a mask has another size, a label is
                outside ``thing_classes``, or ``out_file`` has no ending of an image format.
        """
        check_image(image)
        thr = self.score_thr if score_thr is None else score_thr
        sample = SegDataSample() if data_sample is None else data_sample.cpu()
        size, canvas = image.shape[:2], to_canvas(image, self.min_size, self.draw_size)
        panels, gt = {}, None
        if draw_gt:
            panels['ground truth'], gt = self._draw_gt(sample, size, canvas, with_labels)
        if draw_pred and 'pred_instances' in sample:
            found = predicted_objects(sample.pred_instances, self._names(), size, canvas, thr,
                                      with_labels)
            if gt is not None:
                ids = match_ids(found.crops, gt.crops, canvas.shape[:2])
                found.colors = instance_colors(int(ids.max(initial=-1)) + 1)[ids]
            panels.update(self._draw_found(sample, size, canvas, found, thr))
        elif draw_pred:
            panels['prediction'] = self._draw_categories(sample.get('pred_sem_seg'), size, canvas,
                                                         with_labels)
        panels = {key: panel for key, panel in panels.items() if panel is not None}
        if with_image or not panels:
            panels = {'image': canvas, **panels}
        drawn = join_panels(panels, self.columns)
        self.set_image(drawn)
        if show:
            check_display()
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            write_image(drawn, out_file)
        else:
            self.add_image(name, drawn, step)

    def _draw_gt(self, sample: SegDataSample, size: tuple[int, int], canvas: np.ndarray,
                 with_labels: bool) -> tuple[np.ndarray | None, DrawnObjects | None]:
        """Draw void and true instances, and give them; else the true category map, if any."""
        if 'gt_inst_map' not in sample or 'gt_instances' not in sample:
            return self._draw_categories(sample.get('gt_sem_seg'), size, canvas, with_labels), None
        inst_map, objects = sample.gt_inst_map.data, sample.gt_instances
        check_size(inst_map, size, 'gt_inst_map')
        texts = label_names(np.asarray(objects.labels), self._names()) if with_labels else None
        gt = on_canvas(InstanceMasks(inst_map[0], objects.ids), np.asarray(objects.bboxes), texts,
                       size, canvas)
        return draw_objects(hatch_void(canvas, np.asarray(inst_map[0]) == VOID), gt, self.alpha), gt

    def _draw_found(self, sample: SegDataSample, size: tuple[int, int], canvas: np.ndarray,
                    found: DrawnObjects, thr: float) -> dict[str, np.ndarray]:
        """Draw predicted instances: panels of one size by caption."""
        return dict(prediction=draw_objects(canvas, found, self.alpha))

    def _draw_categories(self, category_map: PixelData | None, size: tuple[int, int],
                         canvas: np.ndarray, with_labels: bool) -> np.ndarray | None:
        """Draw a category map as the parent does, or give None where there is none."""
        if category_map is None:
            return None
        check_size(category_map.data, size, 'the category map')
        meta = self.dataset_meta
        if 'classes' not in meta or 'palette' not in meta:
            raise InvalidInputError('A category map needs class names and colours to be drawn: set '
                                    "visualizer.dataset_meta to a dict with 'classes' and "
                                    "'palette'.")
        values = resize_map(np.asarray(category_map.data)[0], canvas.shape[:2])
        return self._draw_sem_seg(canvas, PixelData(data=torch.from_numpy(values)[None]),
                                  meta['classes'], meta['palette'], with_labels)

    def _names(self) -> Sequence[str]:
        """Give the class name of each label."""
        names = self.dataset_meta.get('thing_classes')
        if names is not None:
            return names
        return [name for name in self.dataset_meta.get('classes', ()) if name != 'background']
