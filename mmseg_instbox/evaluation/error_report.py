"""The errors of a dump: found in its images, drawn, and summed up.

The errors of an image are what JSON can hold: ``img_path``; its ``cost``, the number of objects
that are not found and the sum of the scores of false predictions; ``objects``, each with ``id``,
``category``, ``area`` (pixels), ``fill`` (its share of its box), ``kind``, and the ``prediction``
that found or spoilt it; and ``predictions``, each with ``category``, ``score``, ``kind``, and the
``object`` that it found or failed at. Partners are indices in the other list, or None.
"""
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..core import VOID
from ..core.instances import InstanceMasks
from ..datasets.transforms.loading import LoadInstImage
from ..errors import InvalidInputError
from ..visualization.drawing import draw_objects, hatch_void, to_canvas
from ..visualization.predictions import MIN_SIZE, on_canvas
from ..visualization.utils import write_image
from .functional.average_precision import average_precision_table
from .functional.error_analysis import CORRECT, ERROR_KINDS, classify_errors
from .metrics.base_metric import category_rows
from .prediction_dump import image_file
from .replay import Regroup
from .sample_reader import decode_image, sample_name

ALPHA = 0.35
# title and colour of each kind; colours are far apart in hue, and on a photograph
KINDS = dict(
    correct=('found', (46, 160, 67)),
    missed=('missed', (230, 25, 75)),
    background=('on nothing', (240, 50, 230)),
    border=('bad border', (255, 214, 10)),
    wrong_category=('wrong category', (245, 130, 48)),
    both=('wrong category and border', (165, 85, 30)),
    merged=('merged', (0, 110, 220)),
    split=('split', (70, 225, 240)),
    duplicate=('duplicate', (145, 30, 180)))
KIND_TITLES = {kind: title for kind, (title, _) in KINDS.items()}
KIND_COLORS = {kind: color for kind, (_, color) in KINDS.items()}


@dataclass(frozen=True)
class ErrorFinder:
    """Groups samples of :class:`DumpedSamples` and finds and draws their errors.

    Args:
        regroup: Makes the predictions.
        dataset_meta: With ``classes`` and ``thing_classes``.
        threshold: IoU above which an object is found.
        background: IoU up to which a prediction has nothing to do with an object.
    """
    regroup: Regroup
    dataset_meta: Mapping[str, Any]
    threshold: float = 0.5
    background: float = 0.1

    def find(self, sample: dict) -> dict:
        """Find the errors of a sample; see the module for what they look like."""
        return self._examine(sample)[0]

    def draw(self, sample: dict, folder: Path) -> dict:
        """Draw the objects and the predictions of a sample into two files in a folder.

        Returns the names of the files, ``truth`` and ``prediction``, and their ``width`` and
        ``height`` in pixels.
        """
        errors, masks, bboxes = self._examine(sample)
        objects, predictions = errors['objects'], errors['predictions']
        image = LoadInstImage().transform(dict(img_path=errors['img_path']))['img'][..., ::-1]
        image = np.ascontiguousarray(image)
        inst_map, truth = sample['gt_inst_map']['data'][0], sample['gt_instances']
        texts = [f'{each["category"]} {each["score"]:.2f}' for each in predictions]
        drawn = dict(
            truth=draw_kinds(image, InstanceMasks(inst_map, truth['ids']),
                             np.asarray(truth['bboxes']), [each['category'] for each in objects],
                             [each['kind'] for each in objects], np.asarray(inst_map) == VOID),
            prediction=draw_kinds(image, masks, bboxes, texts,
                                  [each['kind'] for each in predictions]))
        files = {side: image_name(errors['img_path'], side) for side in drawn}
        for side, drawing in drawn.items():
            write_image(drawing, str(folder / files[side]))
        height, width = drawn['truth'].shape[:2]
        return dict(files, width=width, height=height)

    def _examine(self, sample: dict) -> tuple[dict, Tensor, np.ndarray]:
        """The errors of a sample, and the masks and boxes of its predictions."""
        sample, things = self.regroup(sample), self.dataset_meta['thing_classes']
        image = decode_image(sample, self.dataset_meta)
        kept = image.overlap.kept
        labels, scores = image.labels[kept], image.scores[kept].astype(np.float64)
        found = classify_errors(image.overlap.select(kept), labels, image.gt_labels, scores,
                                self.threshold, self.background)
        areas = image.overlap.object_areas
        sizes = np.diff(np.reshape(sample['gt_instances']['bboxes'], (-1, 2, 2)), axis=1)
        objects = [
            dict(id=number, category=things[label], area=area, fill=fill, kind=kind,
                 prediction=culprit if culprit >= 0 else None)
            for number, label, area, fill, kind, culprit in _rows(
                image.ids, image.gt_labels, areas, areas / sizes.prod(axis=(1, 2)),
                found.object_kinds, found.culprits)
        ]
        predictions = [
            dict(category=things[label], score=score, kind=kind,
                 object=partner if partner >= 0 else None)
            for label, score, kind, partner in _rows(labels, scores, found.kinds, found.partners)
        ]
        masks, bboxes = (sample['pred_instances'][key][kept] for key in ('masks', 'bboxes'))
        cost = (found.object_kinds != CORRECT).sum() + scores[found.kinds != CORRECT].sum()
        return dict(img_path=sample_name(sample), cost=float(cost), objects=objects,
                    predictions=predictions), masks, np.asarray(bboxes)


def draw_kinds(image: np.ndarray, masks: Any, bboxes: np.ndarray, names: Sequence[str],
               kinds: Sequence[str], void: np.ndarray | None = None) -> np.ndarray:
    """Draw N objects or predictions of an image in the colours of their kinds.

    The image, RGB (H, W, 3) uint8, is enlarged by the whole factor that brings its longer side to
    at least ``MIN_SIZE`` pixels; ``void`` (H, W) bool is hatched. Masks (N, H, W) bool begin with
    the most important one; kinds are keys of ``KIND_COLORS``.
    """
    canvas = to_canvas(image, MIN_SIZE)
    if void is not None:
        canvas = hatch_void(canvas, void)
    texts = [name if kind == CORRECT else f'{KIND_TITLES[kind]}: {name}'
             for name, kind in zip(names, kinds, strict=True)]
    objects = on_canvas(masks, bboxes, texts, image.shape[:2], canvas)
    objects.colors = np.array([KIND_COLORS[kind] for kind in kinds], np.uint8).reshape(-1, 3)
    return draw_objects(canvas, objects, ALPHA, with_boxes=False)


def _rows(*columns: np.ndarray) -> zip:
    return zip(*(column.tolist() for column in columns), strict=True)


def image_name(img_path: str, side: str) -> str:
    """The name of an image's file in the dump, with characters that are safe in addresses only."""
    stem = re.sub(r'[^A-Za-z0-9_.-]', '_', Path(image_file(img_path)).stem)
    return f'{stem}_{side}.jpg'


def summarise(images: Sequence[dict], things: Sequence[str]) -> dict:
    """Sum up the errors of all images, in data set order, as JSON can hold them.

    Returns:
        dict: ``AP`` and ``AP_all_fixed``, means over the categories with objects; ``kinds``, for
        each kind its number of ``objects`` and ``predictions`` and the ``AP_lost`` to it, None for
        'correct'; ``categories``, with the same for each category; ``images``, the worst first,
        each with its ``index`` in the data set.

    Raises:
        ValueError: There is no object or no prediction in any image.
    """
    counts = Counter((side, each['category'], each['kind']) for image in images
                     for side in ('objects', 'predictions') for each in image[side])
    sides = {side for side, *_ in counts}
    if 'objects' not in sides:
        raise InvalidInputError(f'There is no object in the ground truth of the {len(images)} '
                                'images; give a data set whose instance masks hold some.')
    if 'predictions' not in sides:
        raise InvalidInputError(f'Nothing is predicted in any of the {len(images)} images, so '
                                'every object is missed; train the network further, or let the '
                                'grouper find more (--cfg-options model.grouper...).')

    def kinds(names: Sequence[str], lost: dict) -> dict[str, dict]:
        return {
            kind: dict(objects=sum(counts['objects', name, kind] for name in names),
                       predictions=sum(counts['predictions', name, kind] for name in names),
                       AP_lost=lost.get(kind))
            for kind in (CORRECT, *ERROR_KINDS)
        }

    costs = error_costs(images, things)
    total = {key: float(np.nanmean(values)) for key, values in costs.items()}
    categories = []
    for own in category_rows(things, things, {}, costs):
        its = kinds([own['category']], own)
        categories.append(dict(category=own['category'], AP=own['AP'], kinds=its,
                               objects=sum(each['objects'] for each in its.values())))
    worst = sorted(range(len(images)), key=lambda index: -images[index]['cost'])
    return dict(AP=total['AP'], AP_all_fixed=total['AP_all_fixed'], kinds=kinds(things, total),
                categories=categories, images=[dict(images[i], index=i) for i in worst])


def error_costs(images: Sequence[dict], things: Sequence[str]) -> dict[str, np.ndarray]:
    """Compute what AP^r of each of T categories would gain if one kind of error alone were fixed.

    Returns ``AP``, (T,), nan for categories without objects; a cost for each of ``ERROR_KINDS``,
    which do not add up to what is missing to 1, because errors hide one another; and
    ``AP_all_fixed``, 1 wherever there are objects.
    """
    precision = fixed_precision(images, things)
    costs = {kind: fixed_precision(images, things, [kind]) - precision for kind in ERROR_KINDS}
    return dict(AP=precision, **costs, AP_all_fixed=fixed_precision(images, things, ERROR_KINDS))


def fixed_precision(images: Sequence[dict], things: Sequence[str],
                    fixed: Collection[str] = ()) -> np.ndarray:
    """Compute AP^r of each of T categories, (T,), as if some kinds of errors had not been made.

    To fix a kind is to take its predictions away and to find its objects, each with the score of
    its culprit: the prediction that spoilt it, the best of several. Missed objects have none and
    are left out instead (both as in TIDE, section 2.3), so that the others decide at which
    precision they would have been found. AP^r is nan for categories without objects, and 1 for
    those whose objects are all left out.
    """
    places = {name: place for place, name in enumerate(things)}
    detections, counted = [], np.zeros(len(things), int)
    for image in images:
        detections += [(places[each['category']], each['score'], each['kind'] == CORRECT)
                       for each in image['predictions'] if each['kind'] not in fixed]
        for each in image['objects']:
            place, culprit = places[each['category']], each['prediction']
            if each['kind'] in fixed:
                if culprit is None:
                    continue
                detections.append((place, image['predictions'][culprit]['score'], True))
            counted[place] += 1
    labels, scores, hits = np.array(detections, float).reshape(-1, 3).T
    table = average_precision_table(labels.astype(int), scores, hits[:, None] > 0, counted)[:, 0]
    present = [places[each['category']] for image in images for each in image['objects']]
    table[np.isin(np.arange(len(things)), present) & np.isnan(table)] = 1.
    return table
