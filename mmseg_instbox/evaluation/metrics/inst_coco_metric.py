"""COCO's mask AP, in mmdet's evaluator."""
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.fileio import dump, load
from mmseg.registry import METRICS
from pycocotools import mask as mask_api

from ...core import VOID
from ...datasets.coco_masks import describe_objects
from ...errors import InvalidInputError
from ...utils.run_lengths import encode_crop, mask_crops
from ..functional import coco_average_precision as coco
from ..sample_reader import category_names, decode_image, ranked_labels, read_instances, sample_name
from .base_metric import means, report

with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # of optional packages that none of this needs
    from mmdet.evaluation import CocoMetric

SIZES = dict(AP_s=' below 32 x 32 pixels', AP_m=' of 32 x 32 to 96 x 96 pixels',
             AP_l=' above 96 x 96 pixels')


@METRICS.register_module()
class InstCocoMetric(CocoMetric):
    """COCO's mask AP: ``AP``, ``AP50``, ``AP75``, ``AP_s``, ``AP_m`` and ``AP_l``.

    Extends mmdet's ``CocoMetric``, which converts and writes predictions and ground truth. It
    differs in this: labels are indices into ``thing_classes``; sizes are areas of masks; figures
    are not rounded, and 0, with a warning, where there are no predictions or objects; and by
    default objects are those of ``gt_inst_map``, equal scores count in the order of the data set,
    and void pixels are removed from the predictions, as for AP^r.

    Args:
        ann_file (str, optional): COCO's own file of instances, such as
            ``instances_val2017.json``. If given, the objects are its annotations, those that
            overlap and crowds as they are, and the predictions are taken whole; equal scores then
            count in the order of image ids. Needs ``img_id`` in each data sample and
            ``category_ids`` in the data set's metainfo, the index into ``thing_classes`` of each
            official category id. ``area`` and ``iscrowd`` may be missing: they are computed.
        labels_per_instance (int): As of :class:`InstBoxMetric`. Defaults to 3.
        out_file (str, optional): A JSON file to write with the figures and a row a category.
        collect_dir (str, optional): Where processes exchange results, as in mmengine.
        **kwargs: ``outfile_prefix``, ``collect_device`` and ``prefix`` of mmdet's ``CocoMetric``:
            ``<outfile_prefix>.segm.json`` and ``<outfile_prefix>.bbox.json`` get the predictions in
            COCO's result format, ``<outfile_prefix>.gt.json`` the objects.

    Raises:
        FileNotFoundError: ``ann_file`` is missing.
        ValueError: ``ann_file`` is no file of COCO instances.
    """
    default_prefix = None
    figures = tuple(coco.FIGURES)

    def __init__(self,
                 ann_file: str | None = None,
                 labels_per_instance: int = 3,
                 out_file: str | None = None,
                 collect_dir: str | None = None,
                 **kwargs) -> None:
        super().__init__(metric='segm', **kwargs)
        self.official = None if ann_file is None else coco.read_coco(ann_file)
        self.labels_per_instance = labels_per_instance
        self.out_file = out_file
        self.collect_dir = collect_dir

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Encode the instances and objects of each image.

        Raises:
            ValueError: A field is missing, or a size, a category or ``ann_file`` does not fit.
        """
        super().process(data_batch, [self._mmdet_sample(sample) for sample in data_samples])

    def compute_metrics(self, results: list[tuple[dict, dict]]) -> dict[str, float]:
        """Compute the figures of the whole data set, means over the categories with objects."""
        things = category_names(self.dataset_meta)[1]
        truth, predictions = self._to_coco(results)
        per_thing = coco.coco_average_precision(truth, predictions, len(things))
        figures = {}
        for key, values in per_thing.items():
            figures.update(means({key: values}, f'no object{SIZES.get(key, "")}'))
        counted = [each['category_id'] for each in truth['annotations'] if not each['iscrowd']]
        per_thing['objects'] = np.bincount(np.array(counted, int), minlength=len(things))
        return report(self, figures, len(results), {}, per_thing)

    def gt_to_coco_json(self, gt_dicts: Sequence[dict], outfile_prefix: str) -> str:
        """Write the objects as the parent does, but with areas of masks and names of things."""
        path = super().gt_to_coco_json(gt_dicts, outfile_prefix)
        names = category_names(self.dataset_meta)[1]
        areas = [each['area'] for gt in gt_dicts for each in gt['anns']]
        content = dict(dict(annotations=[]), **load(path))
        for annotation, area in zip(content['annotations'], areas, strict=True):
            annotation['area'] = area
        content['categories'] = [dict(id=label, name=name) for label, name in enumerate(names)]
        dump(content, path)
        return path

    def _to_coco(self, results: list[tuple[dict, dict]]) -> tuple[dict, list[dict]]:
        """The objects and the predictions in COCO's format."""
        truth, found = zip(*results, strict=True)
        if self.official is None:
            for index, pair in enumerate(results):
                for each in pair:
                    each['img_id'] = index
        image_id, number = Counter(each['img_id'] for each in truth).most_common(1)[0]
        if number > 1:
            raise InvalidInputError(f'the image of id {image_id} was evaluated twice; ann_file '
                                    'needs a data set that holds each image once')
        self.cat_ids = range(len(category_names(self.dataset_meta)[1]))
        with tempfile.TemporaryDirectory() as folder:
            prefix = self.outfile_prefix or str(Path(folder) / 'results')
            objects = load(self.gt_to_coco_json(truth, prefix))
            predictions = load(self.results2json(found, prefix)['segm'])
        for each in predictions:
            del each['bbox']
        return objects, predictions

    def _mmdet_sample(self, sample: dict) -> dict:
        """What mmdet reads of a sample: its objects, and its instances, one detection a label."""
        if self.official is None:
            image, image_id = decode_image(sample, self.dataset_meta), None
            inst_map = sample['gt_inst_map']['data'][0].cpu().numpy()
            objects = describe_objects(inst_map, image.ids, image.gt_labels)
            kept, not_void = image.overlap.kept, inst_map != VOID
        else:
            if sample.get('img_id') is None:
                raise InvalidInputError(f'the data sample of {sample_name(sample)} has no img_id, '
                                        'by which ann_file knows the image; use a data set that '
                                        'gives it, such as CocoInstDataset')
            image_id = int(sample['img_id'])
            objects = coco.official_instances(self.official, image_id,
                                              self.dataset_meta.get('category_ids'))
            record = self.official.imgs[image_id]
            kept, not_void = None, np.ones((record['height'], record['width']), dtype=bool)
        things = category_names(self.dataset_meta)[1]
        masks, labels, scores = read_instances(sample, len(things), not_void.shape)
        index, labels, scores = ranked_labels(sample, labels, scores, self.labels_per_instance)
        chosen = slice(None) if kept is None else kept[index]
        codes = [encode_crop(crop._replace(pixels=crop.pixels & not_void[crop.window]),
                             masks.shape[1:]) for crop in mask_crops(masks)]
        codes = [codes[each] for each in index[chosen]]
        bboxes = torch.from_numpy(np.reshape(mask_api.toBbox(codes), (-1, 4)))
        bboxes[:, 2:] += bboxes[:, :2]
        instances = dict(masks=codes, bboxes=bboxes, labels=torch.from_numpy(labels[chosen]),
                         scores=torch.from_numpy(scores[chosen]))
        return dict(pred_instances=instances, instances=objects, ori_shape=masks.shape[1:],
                    img_id=image_id)
