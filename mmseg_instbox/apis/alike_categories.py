"""Finds the categories of a trained model that new categories look like."""
from collections import defaultdict

import numpy as np

from ..datasets.annotation_formats import AnnotatedImages
from ..datasets.coco_masks import decode_region, segmentation_rle
from .inst_box_inferencer import InstBoxInferencer
from .own_data import choose_images

IMAGES = 16  # that are looked at


def find_alike(base: str, part: AnnotatedImages, allow_pickle: bool = False) -> dict[str, str]:
    """For each new category the one that a trained model sees at most pixels of its objects.

    Looks at some images. A category is left out where that is the model's first category, the
    background.

    Args:
        base: The trained model, as :class:`InstBoxInferencer` takes it.
        part: Annotated images; at least two have objects.
        allow_pickle: Trust ``base``.

    Returns:
        dict[str, str]: Name of a category of the model by name of a new one.
    """
    inferencer = InstBoxInferencer(base, show_progress=False, allow_pickle=allow_pickle)
    names = inferencer.dataset_meta['classes']
    chosen = {row['id'] for row in part.coco['images']}
    if len(chosen) > IMAGES:
        chosen = choose_images(part, IMAGES / len(chosen), seed=0)
    objects = part.by_image()
    files = {str(part.root / row['file_name']): row['id'] for row in part.coco['images']
             if row['id'] in chosen}
    seen = defaultdict(lambda: np.zeros(len(names), int))
    for sample in inferencer.stream(list(files)):
        labels = sample.pred_sem_seg.data[0].cpu().numpy()
        for each in objects[files[sample.img_path]]:
            if each.get('iscrowd'):
                continue
            region, mask = decode_region(
                segmentation_rle(each['segmentation'], labels.shape, sample.img_path))
            seen[each['category_id']] += np.bincount(labels[region][mask], minlength=len(names))
    return {row['name']: names[seen[row['id']].argmax()] for row in part.coco['categories']
            if seen[row['id']].argmax() > 0}
