"""The errors of a dump: found in its images, drawn, and summed up."""
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mmseg_instbox.core.feature_grid import VOID
from mmseg_instbox.datasets.transforms.loading import LoadInstImage
from mmseg_instbox.utils import atomic_write
from mmseg_instbox.visualization.error_kinds import draw_kinds
from mmseg_instbox.visualization.utils import to_numpy

from ..errors import InvalidInputError
from .functional.error_analysis import (
    CORRECT,
    ERROR_KINDS,
    ImageErrors,
    classify_errors,
    measure_regions,
)
from .functional.error_costs import count_kinds, error_costs, image_cost
from .replay import Regroup
from .sample_reader import read_objects, sample_name

QUALITY = 85  # of the JPEG files


class FoundErrors(NamedTuple):
    """The errors of the image ``img_path``, and ids and areas (pixels) of its objects, (G,)."""
    img_path: str
    ids: np.ndarray
    areas: np.ndarray
    errors: ImageErrors


@dataclass(frozen=True)
class ErrorFinder:
    """Groups samples of :class:`DumpedSamples` and finds and draws their errors.

    Args:
        regroup: Makes the predictions.
        threshold: IoU above which an object is found.
        background: IoU up to which a prediction has nothing to do with an object.
    """
    regroup: Regroup
    threshold: float = 0.5
    background: float = 0.1

    def find(self, sample: dict) -> FoundErrors:
        """Find the errors of a sample."""
        return self._examine(sample)[0]

    def draw(self, sample: dict, things: Sequence[str], folder: Path) -> dict:
        """Draw the objects and the predictions of a sample into two files in a folder.

        ``things`` are the names of the thing classes. Returns the names of the files, ``truth`` and
        ``prediction``, and their ``width`` and ``height`` in pixels.
        """
        found, masks, bboxes = self._examine(sample)
        errors = found.errors
        image = LoadInstImage().transform(dict(img_path=found.img_path))['img'][..., ::-1]
        image = np.ascontiguousarray(image)
        inst_map = to_numpy(sample['gt_inst_map']['data'][0])
        names = [things[label] for label in errors.object_labels]
        texts = [f'{things[label]} {score:.2f}'
                 for label, score in zip(errors.labels, errors.scores, strict=True)]
        drawn = dict(
            truth=draw_kinds(image, inst_map == found.ids[:, None, None],
                             to_numpy(sample['gt_instances']['bboxes']), names,
                             errors.object_kinds, void=inst_map == VOID),
            prediction=draw_kinds(image, masks, bboxes, texts, errors.kinds))
        files = {side: image_name(found.img_path, side) for side in drawn}
        for side, drawing in drawn.items():
            code = cv2.imencode('.jpg', drawing[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
            atomic_write(code.tobytes(), folder / files[side])
        height, width = drawn['truth'].shape[:2]
        return dict(files, width=width, height=height)

    def _examine(self, sample: dict) -> tuple[FoundErrors, np.ndarray, np.ndarray]:
        """The errors of a sample, and the masks and boxes of its predictions."""
        inst_map, ids, object_labels = read_objects(sample, len(self.regroup.thing_ids))
        instances = self.regroup(sample)['pred_instances']
        masks, bboxes, labels, scores = (
            to_numpy(instances[key]) for key in ('masks', 'bboxes', 'labels', 'scores'))
        regions, kept = measure_regions(masks, labels, scores, inst_map, ids, object_labels)
        errors = classify_errors(regions, self.threshold, self.background)
        found = FoundErrors(sample_name(sample), ids, regions.object_areas, errors)
        return found, masks[kept], bboxes[kept]


def image_name(img_path: str, side: str) -> str:
    """A file name that is safe everywhere and tells images of one name apart by their folder."""
    stem = re.sub(r'[^A-Za-z0-9_.-]', '_', Path(img_path).stem)
    return f'{stem}-{zlib.crc32(img_path.encode()):08x}_{side}.jpg'


def summarise(images: Sequence[FoundErrors], things: Sequence[str]) -> dict:
    """Sum up the errors of all images, in data set order, as JSON can hold them.

    Returns:
        dict: ``AP`` and ``AP_all_fixed``, means over the categories with objects; ``kinds``, for
        each kind its number of ``objects`` and ``predictions`` and the ``AP_lost`` to it, None for
        'correct'; ``categories``, with the same for each category; ``images``, the worst first,
        with every object and every prediction.

    Raises:
        ValueError: There is no object or no prediction in any image.
    """
    errors = [image.errors for image in images]
    if not any(len(each.object_labels) for each in errors):
        raise InvalidInputError(f'There is no object in the ground truth of the {len(errors)} '
                                'images; give a data set whose instance masks hold some.')
    if not any(len(each.labels) for each in errors):
        raise InvalidInputError(f'Nothing is predicted in any of the {len(errors)} images, so '
                                'every object is missed; train the network further, or let the '
                                'grouper find more (--cfg-options model.grouper...).')
    counts, costs = count_kinds(errors, len(things)), error_costs(errors, len(things))
    total = {key: float(np.nanmean(values)) for key, values in costs.items()}
    rows = []
    for label, name in enumerate(things):
        own = {key: None if np.isnan(values[label]) else float(values[label])
               for key, values in costs.items()}
        kinds = _kinds(counts, own, label)
        rows.append(dict(category=name, objects=sum(each['objects'] for each in kinds.values()),
                         AP=own['AP'], kinds=kinds))
    order = sorted(range(len(images)), key=lambda i: -image_cost(errors[i]))
    return dict(
        AP=total['AP'],
        AP_all_fixed=total['AP_all_fixed'],
        kinds=_kinds(counts, total, slice(None)),
        categories=rows,
        images=[_describe(images[i], i, things) for i in order])


def _kinds(counts: dict, costs: dict, chosen: int | slice) -> dict[str, dict]:
    """Counts over the chosen categories and AP lost, of each kind."""
    return {
        kind: dict(objects=int(np.sum(counts['objects'][kind][chosen])),
                   predictions=int(np.sum(counts['predictions'][kind][chosen])),
                   AP_lost=costs.get(kind))
        for kind in (CORRECT, *ERROR_KINDS)
    }


def _describe(image: FoundErrors, index: int, things: Sequence[str]) -> dict:
    """An image with all its objects and predictions; partners are indices in the other list."""
    errors = image.errors
    return dict(
        img_path=image.img_path,
        index=index,
        cost=image_cost(errors),
        objects=[
            dict(id=int(number), category=things[label], area=int(area), kind=str(kind),
                 prediction=culprit if culprit >= 0 else None)
            for number, area, label, kind, culprit in zip(
                image.ids, image.areas, errors.object_labels, errors.object_kinds,
                errors.culprits.tolist(), strict=True)
        ],
        predictions=[
            dict(category=things[label], score=float(score), kind=str(kind),
                 object=partner if partner >= 0 else None)
            for label, score, kind, partner in zip(
                errors.labels, errors.scores, errors.kinds, errors.partners.tolist(), strict=True)
        ])
