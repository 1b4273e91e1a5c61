"""Random data samples, a second implementation of the figures, and a process of a test run."""
import json
import sys
from fractions import Fraction

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from pycocotools import mask as mask_api

from mmseg_instbox.evaluation import InstBoxMetric, InstCocoMetric, InstPanopticMetric
from mmseg_instbox.utils import distributed_exit

# things in another order than among the classes
META = dict(classes=('background', 'cat', 'road', 'dog'), thing_classes=('dog', 'cat'))
CATEGORY = (3, 1)


def make_sample(inst_map, labels, masks, pred_labels, scores, sem_seg=None, pred_sem_seg=None):
    """A data sample of nested lists or arrays; ids are those in the map, in rising order."""
    inst_map = torch.as_tensor(np.asarray(inst_map), dtype=torch.int32)
    ids = torch.tensor([i for i in inst_map.unique().tolist() if i not in (0, 255)],
                       dtype=torch.int64)
    if sem_seg is None:
        sem_seg = torch.zeros(inst_map.shape, dtype=torch.int64)
        for index, label in zip(ids, labels, strict=True):
            sem_seg[inst_map == index] = CATEGORY[label]
        sem_seg[inst_map == 255] = 255
    pred_sem_seg = sem_seg.clamp(max=3) if pred_sem_seg is None else torch.as_tensor(pred_sem_seg)
    masks = torch.as_tensor(np.asarray(masks), dtype=torch.bool).reshape(-1, *inst_map.shape)
    sample = SegDataSample(metainfo=dict(img_path='picture.jpg'))
    sample.gt_sem_seg = PixelData(data=sem_seg[None])
    sample.gt_inst_map = PixelData(data=inst_map[None])
    sample.gt_instances = InstanceData(ids=ids, labels=torch.tensor(labels, dtype=torch.int64))
    sample.pred_sem_seg = PixelData(data=pred_sem_seg[None])
    sample.pred_instances = InstanceData(
        masks=masks, labels=torch.tensor(pred_labels, dtype=torch.int64),
        scores=torch.tensor(scores, dtype=torch.float32))
    return sample


def random_sample(seed, size=(12, 15)):
    """Objects, void, and predictions that are near them, duplicated, empty or anywhere."""
    random = np.random.default_rng(seed)
    inst_map = np.zeros(size, int)
    for index in random.choice([1, 2, 3, 254, 256, 4000], random.integers(0, 6), replace=False):
        y, x = random.integers(0, size[0] - 5), random.integers(0, size[1] - 5)
        inst_map[y:y + random.integers(2, 7), x:x + random.integers(2, 7)] = index
    inst_map[:, random.integers(0, size[1])] = 255
    ids = [i for i in np.unique(inst_map) if i not in (0, 255)]
    labels = random.integers(0, 2, len(ids)).tolist()
    masks, pred_labels = [random.random(size) < 0.3], [0]
    for index, label in [*zip(ids, labels, strict=True)] * 2:
        masks.append((inst_map == index) & (random.random(size) < random.uniform(0.2, 1.))
                     | (random.random(size) < random.uniform(0, 0.05)))
        pred_labels.append(label if random.random() < 0.8 else 1 - label)
    masks += [inst_map == 255, np.zeros(size, bool)]
    pred_labels += [0, 1]
    scores = random.integers(1, 6, len(masks)) / 5  # few values, so many ties
    pred_sem_seg = random.integers(0, 4, size)
    return make_sample(inst_map, labels, masks, pred_labels, scores, pred_sem_seg=pred_sem_seg)


def slow_average_precision(samples, label, threshold):
    """AP of one category by sets of pixels and fractions; None without objects."""
    truth, detections = [], []
    for sample in samples:
        inst_map = sample.gt_inst_map.data[0]
        void = pixels(inst_map == 255)
        instances, objects = sample.pred_instances, sample.gt_instances
        truth.append([pixels(inst_map == index) for index, its in zip(
            objects.ids, objects.labels, strict=True) if its == label])
        for mask, its, score in zip(
                instances.masks, instances.labels, instances.scores, strict=True):
            if its == label and not (pixels(mask) and pixels(mask) <= void):
                detections.append((float(score), len(truth) - 1, pixels(mask) - void))
    total = sum(len(objects) for objects in truth)
    if total == 0:
        return None
    found = []
    for _, image, region in sorted(detections, key=lambda detection: -detection[0]):
        overlaps = [Fraction(len(region & each), len(region | each)) for each in truth[image]]
        best = max(overlaps, default=Fraction(0))
        found.append(best > threshold)
        if found[-1]:
            del truth[image][overlaps.index(best)]
    precision = [Fraction(sum(found[:n + 1]), n + 1) for n in range(len(found))]
    steps = [max(precision[n:]) for n in range(len(found)) if found[n]]
    return sum(steps) / Fraction(total)


def slow_panoptic_quality(samples):
    """PQ, SQ and RQ of each category by sets of pixels and fractions; None without segments."""
    ious, false, missed = ([[] for _ in META['classes']] for _ in range(3))
    for sample in samples:
        found, (truth, void) = _found_segments(sample), _true_segments(sample)
        for category in range(len(META['classes'])):
            mine = [region for its, region in found if its == category]
            theirs = [region for its, region in truth if its == category]
            pairs = {(i, j): Fraction(len(a & b), len((a | b) - void))
                     for i, a in enumerate(mine) for j, b in enumerate(theirs) if a & b}
            pairs = {pair: iou for pair, iou in pairs.items() if iou > Fraction(1, 2)}
            ious[category] += pairs.values()
            missed[category] += set(range(len(theirs))) - {j for _, j in pairs}
            false[category] += [i for i, a in enumerate(mine) if i not in {i for i, _ in pairs}
                                and Fraction(len(a & void), len(a)) <= Fraction(1, 2)]
    figures = []
    for its, wrong, lost in zip(ious, false, missed, strict=True):
        total = len(its) + Fraction(len(wrong) + len(lost), 2)
        figures.append((sum(its) / total, sum(its) / max(len(its), 1), len(its) / total)
                       if total else None)
    return figures


def _found_segments(sample):
    """Category and pixels of each predicted segment."""
    seg_map, owner = sample.pred_sem_seg.data[0], {}
    instances = sample.pred_instances
    for index in sorted(range(len(instances)), key=lambda k: -instances.scores[k]):
        for pixel in pixels(instances.masks[index]):
            owner.setdefault(pixel, index)
    found = [(CATEGORY[label], {pixel for pixel in owner if owner[pixel] == index})
             for index, label in enumerate(instances.labels)]
    found += [(category, pixels(seg_map == category) - owner.keys())
              for category in range(4) if category not in CATEGORY]
    return [(category, region) for category, region in found if region]


def _true_segments(sample):
    """Category and pixels of each true segment, and the void pixels."""
    seg_map, inst_map = sample.gt_sem_seg.data[0], sample.gt_inst_map.data[0]
    everything, unknown = pixels(seg_map >= 0), pixels((seg_map == 255) | (inst_map == 255))
    truth = [(CATEGORY[label], pixels(inst_map == index) - unknown) for index, label in zip(
        sample.gt_instances.ids, sample.gt_instances.labels, strict=True)]
    truth += [(category, pixels((seg_map == category) & (inst_map == 0)) - unknown)
              for category in range(4) if category not in CATEGORY]
    truth = [(category, region) for category, region in truth if region]
    return truth, everything - set().union(*(region for _, region in truth))


def pixels(mask):
    return {(int(y), int(x)) for y, x in mask.nonzero()}


def evaluate(samples, metrics=None, meta=META, size=None, batch_size=2):
    """Run metrics as a test loop does."""
    evaluator = Evaluator(metrics or [InstBoxMetric()])
    evaluator.dataset_meta = meta
    for start in range(0, len(samples), batch_size):
        evaluator.process(samples[start:start + batch_size])
    return evaluator.evaluate(len(samples) if size is None else size)


def official_meta():
    """``META`` of a data set that takes its objects from COCO: ids 7 and 3 are dogs, 5 are cats."""
    return dict(META, category_ids={7: 0, 3: 0, 5: 1})


def image_id(seed):
    return 1000 - 7 * seed


def write_official(path, seeds):
    """Annotations of seeded samples: their objects, a second one over each, and void as a crowd."""
    images, annotations = [], []
    for seed in seeds:
        sample = random_sample(seed)
        inst_map = sample.gt_inst_map.data[0].numpy()
        images.append(dict(id=image_id(seed), file_name=f'{seed}.jpg', height=inst_map.shape[0],
                           width=inst_map.shape[1]))
        regions = [(inst_map == 255, 7, 1)]
        for index, label in zip(sample.gt_instances.ids.tolist(),
                                sample.gt_instances.labels.tolist(), strict=True):
            region = inst_map == index
            regions += [(region, (7, 5)[label], 0), (np.roll(region, 1, 1), (3, 5)[label], 0)]
        for region, category, crowd in regions:
            code = mask_api.encode(np.asfortranarray(region, dtype=np.uint8))
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id(seed), category_id=category,
                iscrowd=crowd, area=int(region.sum()), bbox=[0, 0, 1, 1],
                segmentation=dict(size=list(region.shape), counts=code['counts'].decode())))
    categories = [dict(id=number, name=str(number)) for number in (3, 5, 7, 9)]
    path.write_text(json.dumps(dict(
        images=images, annotations=annotations, categories=categories)))
    return str(path)


def official_samples(seeds):
    """The seeded samples with the ids that :func:`write_official` gives them."""
    samples = [random_sample(seed) for seed in seeds]
    for seed, sample in zip(seeds, samples, strict=True):
        sample.set_metainfo(dict(img_id=image_id(seed)))
    return samples


def all_metrics(ann_file):
    """Every figure, those of COCO also of official annotations."""
    return [InstBoxMetric(), InstCocoMetric(), InstPanopticMetric(),
            InstCocoMetric(ann_file=ann_file, prefix='coco')]


def run_process(rank, world_size, init_file, out_file, ann_file, *set_sizes):
    """One process of distributed tests of seeded samples; each writes the figures it got."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{init_file}', rank=int(rank), world_size=int(world_size))
    figures = []
    for size in map(int, set_sizes):
        mine = DefaultSampler(range(size), shuffle=False)
        samples = official_samples([*mine])
        figures.append(evaluate(samples, all_metrics(ann_file), official_meta(), size=size))
    with open(f'{out_file}.{rank}', 'w') as file:
        json.dump(figures, file)


if __name__ == '__main__':
    with distributed_exit():
        run_process(*sys.argv[1:])
