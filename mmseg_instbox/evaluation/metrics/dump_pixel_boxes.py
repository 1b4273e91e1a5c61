"""Writes category scores and boxes instead of figures."""
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from ..prediction_dump import INDEX, image_file, write_image, write_index
from .sample_reader import category_names, sample_field

KEEP_BOXES = 'a dump needs it: set model.test_cfg.keep_boxes=True'


@METRICS.register_module()
class DumpPixelBoxes(BaseMetric):
    """Dump the category scores and boxes of each image, to be grouped again without the network.

    Every image goes to a file of its own as it comes, so memory stays flat; the index is written
    last, and an old one is removed first, so that a dump with an index is complete. Read it with
    :class:`~mmseg_instbox.evaluation.prediction_dump.PredictionDump`. It reports no figures.

    Args:
        out_dir (str): Directory of the dump.
        config (str, optional): Name of the config, for the index.
        checkpoint (str, optional): Name of the checkpoint, for the index.
        **kwargs: Arguments of mmengine's ``BaseMetric``.
    """

    def __init__(self,
                 out_dir: str,
                 config: str | None = None,
                 checkpoint: str | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_dir = Path(out_dir)
        self.config = config
        self.checkpoint = checkpoint

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Write the images of a batch.

        Args:
            data_batch (dict): The batch as the loader gave it; not used.
            data_samples (Sequence[dict]): Data samples with ``pred_scores``, ``pred_boxes`` and
                ``grid_extent``, as dicts.

        Raises:
            ValueError: If one of them is missing.
        """
        if not self.results:
            (self.out_dir / INDEX).unlink(missing_ok=True)
        for sample in data_samples:
            scores = sample_field(sample, 'pred_scores', KEEP_BOXES)['data']
            boxes = sample_field(sample, 'pred_boxes', KEEP_BOXES)['data']
            extent = sample_field(sample, 'grid_extent', KEEP_BOXES)
            img_path = str(sample_field(sample, 'img_path', 'pack it in the test pipeline'))
            write_image(self.out_dir / image_file(img_path), scores, boxes, extent)
            self.results.append(img_path)

    def compute_metrics(self, results: list[str]) -> dict[str, float]:
        """Write the index.

        Args:
            results (list[str]): Paths of the images, an entry an image, as the data set has them.

        Returns:
            OrderedDict: Empty.
        """
        classes, things = category_names(self.dataset_meta)
        write_index(self.out_dir, results, config=self.config, checkpoint=self.checkpoint,
                    classes=list(classes), thing_classes=list(things))
        print_log(f'{len(results)} images are dumped in {self.out_dir}', logger='current')
        return OrderedDict()
