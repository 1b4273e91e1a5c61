"""The errors of a dump: found in its images, summed up, drawn."""
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
from mmseg_instbox.visualization.error_pictures import draw_kinds
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

QUALITY = 85  # of the JPEG pictures


class FoundErrors(NamedTuple):
    """The errors of the image ``img_path``, and ids and areas (pixels) of its objects, (G,)."""
    img_path: str
    ids: np.ndarray
    areas: np.ndarray
    errors: ImageErrors


@dataclass(frozen=True)
class FindErrors:
    """Groups a sample of :class:`DumpedSamples` and finds its errors.

    Args:
        regroup: Makes the predictions.
        threshold: IoU above which an object is found.
        background: IoU up to which a prediction has nothing to do with an object.
    """
    regroup: Regroup
    threshold: float = 0.5
    background: float = 0.1

    def __call__(self, sample: dict) -> FoundErrors:
        """The errors of a sample."""
        return self.with_instances(sample)[0]

    def with_instances(self, sample: dict) -> tuple[FoundErrors, dict[str, np.ndarray]]:
        """The errors of a sample, and of its predictions the ``masks`` and ``bboxes``."""
        inst_map, ids, object_labels = read_objects(sample, len(self.regroup.thing_ids))
        found = {key: to_numpy(value)
                 for key, value in self.regroup(sample)['pred_instances'].items()}
        regions, kept = measure_regions(found['masks'], found['labels'], found['scores'],
                                        inst_map, ids, object_labels)
        errors = classify_errors(regions, self.threshold, self.background)
        instances = {key: found[key][kept] for key in ('masks', 'bboxes')}
        return FoundErrors(sample_name(sample), ids, regions.object_areas, errors), instances


@dataclass(frozen=True)
class DrawErrors:
    """Draws the errors of a sample of :class:`DumpedSamples`.

    Args:
        find: Finds the errors.
        things: Names of the thing classes.
        folder: Where the pictures go.
    """
    find: FindErrors
    things: Sequence[str]
    folder: Path

    def __call__(self, sample: dict) -> dict:
        """Write two pictures; tell their names (``truth``, ``prediction``), width and height."""
        found, instances = self.find.with_instances(sample)
        errors = found.errors
        image = LoadInstImage().transform(dict(img_path=found.img_path))['img'][..., ::-1]
        image = np.ascontiguousarray(image)
        inst_map = to_numpy(sample['gt_inst_map']['data'][0])
        scored = [f'{self.things[label]} {score:.2f}'
                  for label, score in zip(errors.labels, errors.scores, strict=True)]
        pictures = dict(
            truth=draw_kinds(
                image, inst_map == found.ids[:, None, None],
                to_numpy(sample['gt_instances']['bboxes']),
                [self.things[label] for label in errors.object_labels], errors.object_kinds,
                void=inst_map == VOID),
            prediction=draw_kinds(image, instances['masks'], instances['bboxes'], scored,
                                  errors.kinds))
        names = {side: picture_name(found.img_path, side) for side in pictures}
        for side, picture in pictures.items():
            code = cv2.imencode('.jpg', picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
            atomic_write(code.tobytes(), self.folder / names[side])
        height, width = pictures['truth'].shape[:2]
        return dict(names, width=width, height=height)


def picture_name(img_path: str, side: str) -> str:
    """A file name that is safe everywhere and tells images of one name apart by their folder."""
    stem = re.sub(r'[^A-Za-z0-9_.-]', '_', Path(img_path).stem)
    return f'{stem}-{zlib.crc32(img_path.encode()):08x}_{side}.jpg'


def summarise(images: Sequence[FoundErrors], things: Sequence[str]) -> dict:
    """Counts, costs and what happened in each image, as JSON can hold them.

    Args:
        images: The errors of each image, in data set order.
        things: Names of the thing classes.

    Returns:
        dict: ``AP`` and ``AP_all_fixed``, means over the categories with objects; ``kinds``, for
        each kind its number of ``objects`` and ``predictions`` and the ``AP_lost`` to it, None for
        'correct'; ``categories``, with the same for each category; ``images``, the worst first,
        with every object and every prediction.

    Raises:
        ValueError: If there is no object or no prediction in any image.
    """
    errors = [image.errors for image in images]
    _check_content(errors)
    counts, costs = count_kinds(errors, len(things)), error_costs(errors, len(things))
    total = {key: float(np.nanmean(values)) for key, values in costs.items()}
    rows = [dict(category=name, **_figures(counts, costs, np.s_[label]))
            for label, name in enumerate(things)]
    order = sorted(range(len(images)), key=lambda i: -image_cost(errors[i]))
    return dict(
        AP=total['AP'],
        AP_all_fixed=total['AP_all_fixed'],
        kinds=_kinds(counts, total, np.s_[:]),
        categories=rows,
        images=[_describe(images[i], i, things) for i in order])


def _check_content(errors: Sequence[ImageErrors]) -> None:
    if not any(len(each.object_labels) for each in errors):
        raise InvalidInputError(f'There is no object in the ground truth of the {len(errors)} '
                                'images; give a data set whose instance masks hold some.')
    if not any(len(each.labels) for each in errors):
        raise InvalidInputError(f'Nothing is predicted in any of the {len(errors)} images, so '
                                'every object is missed; train the network further, or let the '
                                'grouper find more (--cfg-options model.grouper...).')


def _figures(counts: dict, costs: dict, label: int) -> dict:
    """AP and kinds of one category; None where it has no object."""
    return dict(
        objects=int(sum(values[label] for values in counts['objects'].values())),
        AP=_defined(costs['AP'][label]),
        kinds=_kinds(counts, {key: values[label] for key, values in costs.items()}, label))


def _kinds(counts: dict, costs: dict, chosen: int | slice) -> dict[str, dict]:
    """Counts over the chosen categories and AP lost, of each kind."""
    return {
        kind: dict(
            objects=int(np.sum(counts['objects'][kind][chosen])),
            predictions=int(np.sum(counts['predictions'][kind][chosen])),
            AP_lost=_defined(costs[kind]) if kind in costs else None)
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
                 prediction=_index(culprit))
            for number, area, label, kind, culprit in zip(
                image.ids, image.areas, errors.object_labels, errors.object_kinds, errors.culprits,
                strict=True)
        ],
        predictions=[
            dict(category=things[label], score=float(score), kind=str(kind), object=_index(partner))
            for label, score, kind, partner in zip(
                errors.labels, errors.scores, errors.kinds, errors.partners, strict=True)
        ])


def _index(value: int) -> int | None:
    return None if value < 0 else int(value)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
