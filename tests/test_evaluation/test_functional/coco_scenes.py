"""Annotations in COCO's format, predictions for them, and pycocotools used as its manual says."""
import json
import os
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

DATA = Path(os.environ.get('INSTBOX_DATA', Path(__file__).parents[4] / 'shared' / 'data'))
REAL = DATA / 'coco_tiny' / 'annotations' / 'instances_val2017.json'
NAMES = ['AP', 'AP50', 'AP75', 'AP_s', 'AP_m', 'AP_l']


def encode(mask):
    code = mask_api.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=list(code['size']), counts=code['counts'].decode())


def make_annotation(number, image_id, category_id, region, iscrowd=0):
    """``region``: a mask (H, W), or a list of polygons; a crowd's code is not compressed."""
    segmentation = region
    if not isinstance(region, list):
        segmentation = _runs(region) if iscrowd else encode(region)
    area = float(np.sum(region)) if not isinstance(region, list) else _polygon_area(region)
    return dict(id=number, image_id=image_id, category_id=category_id, iscrowd=iscrowd, area=area,
                segmentation=segmentation, bbox=[0, 0, 1, 1])


def _runs(mask):
    """Run lengths down the columns, nothing first."""
    values = np.append(0, np.asarray(mask, int).T.ravel())
    edges = np.flatnonzero(np.diff(values))
    counts = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    return dict(size=list(mask.shape), counts=counts)


def _polygon_area(polygons):
    points = [np.reshape(each, (-1, 2)) for each in polygons]
    return float(sum(abs(np.cross(each, np.roll(each, -1, 0)).sum()) / 2 for each in points))


def write_json(path, images, annotations, category_ids):
    """``images``: of each id the size (height, width)."""
    content = dict(
        images=[dict(id=number, file_name=f'{number}.jpg', height=height, width=width)
                for number, (height, width) in images.items()],
        categories=[dict(id=number, name=f'c{number}') for number in category_ids],
        annotations=annotations, info={})
    path.write_text(json.dumps(content))
    return str(path)


def random_file(path, seed, num_images=16):
    """Objects that overlap, polygons, crowds; ids neither sorted nor without gaps."""
    random = np.random.default_rng(seed)
    sizes = {int(number): tuple(random.integers(120, 200, 2).tolist())
             for number in random.permutation(1000)[:num_images]}
    annotations = []
    for image_id, size in sizes.items():
        for _ in range(random.integers(0, 7)):
            region = _random_region(random, size)
            crowd = int(random.random() < 0.25)
            if not crowd and random.random() < 0.5:
                y, x = (float(places[0]) for places in region.nonzero())
                region = [[x, y, x + 50.5, y + 3, x + 40, y + 60.25, x + 2, y + 50]]
            annotations.append(make_annotation(
                len(annotations) + 1, image_id, int(random.choice([3, 18, 17, 90])), region, crowd))
    return write_json(path, sizes, annotations, [3, 17, 18, 90])


def _random_region(random, size):
    region = np.zeros(size, bool)
    height, width = random.choice([20, 60, 110], 2)
    y, x = random.integers(0, size[0] - 20), random.integers(0, size[1] - 20)
    region[y:y + height, x:x + width] = True
    return region


def predict(ann_file, seed, limit=None):
    """Of the first image ids masks, labels (official ids) and scores, near objects or anywhere."""
    random = np.random.default_rng(seed)
    coco = COCO(ann_file)
    predictions = {}
    for image_id, image in list(coco.imgs.items())[:limit]:
        size = image['height'], image['width']
        masks, categories = [np.zeros(size, bool)], [random.choice(list(coco.cats))]
        for each in coco.loadAnns(coco.getAnnIds(imgIds=[image_id])) * 2:
            mask = np.roll(coco.annToMask(each), random.integers(-1, 2, 2), (0, 1)).astype(bool)
            masks += [mask & (random.random(size) < random.uniform(.6, 1.2)),
                      _random_region(random, size)]
            right = random.random() < 0.8
            categories += [each['category_id'] if right else random.choice(list(coco.cats)),
                           random.choice(list(coco.cats))]
        chosen = np.flatnonzero(random.random(len(masks)) < 0.8)
        scores = random.integers(1, 8, len(chosen)) / 8  # few values, so many ties
        predictions[image_id] = (np.array(masks)[chosen].reshape(-1, *size),
                                 np.array(categories)[chosen], scores)
    return predictions


def run_pycocotools(ann_file, predictions, folder, labels=None):
    """The six figures by way of JSON files and ``loadRes``; ``labels``: new ids of categories."""
    content = json.loads(Path(ann_file).read_text())
    labels = labels or {each['id']: each['id'] for each in content['categories']}
    content['categories'] = [dict(id=number) for number in sorted(set(labels.values()))]
    content['annotations'] = [dict(each, category_id=labels[each['category_id']])
                              for each in content['annotations'] if each['category_id'] in labels]
    found = [
        dict(image_id=image_id, category_id=labels[int(category)], score=float(score),
             segmentation=encode(mask))
        for image_id, prediction in predictions.items()
        for mask, category, score in zip(*prediction, strict=True) if int(category) in labels
    ]
    for name, part in (('truth', content), ('found', found)):
        (folder / f'{name}.json').write_text(json.dumps(part))
    truth = COCO(folder / 'truth.json')
    evaluation = COCOeval(truth, truth.loadRes(str(folder / 'found.json')), 'segm')
    evaluation.params.imgIds = sorted(predictions)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:6]
