"""Data samples from annotations in COCO's format."""
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as mask_tools

from ...datasets.annotation_formats.annotated_images import number
from ...datasets.coco_masks import segmentation_rle
from ...datasets.instance_maps import VOID
from ...datasets.voc_layout import voc_palette
from ...deploy.plain_sample import PlainSample
from ...errors import InvalidInputError
from ...utils.file_names import common_folder, distinct_name
from ...utils.limits import check_limit
from ...utils.run_lengths import decode_crop, decode_mask

if TYPE_CHECKING:
    from mmseg.structures import SegDataSample


def samples_from_coco(file: str) -> tuple[Iterator[tuple[str, 'SegDataSample']], dict]:
    """Reads a file of COCO instances as predictions, one image at a time.

    Args:
        file: JSON with ``images``, ``categories`` and ``annotations``, whose segmentations are
            run-length encoded or polygons; a missing ``score`` means 1.

    Returns:
        tuple: Names of the images with their samples, and the ``dataset_meta``. The categories
        of the file, by rising id, are the ``thing_classes``; ``classes`` has 'background' before
        them, unless a category of the file has that name. A sample has ``pred_instances`` and
        ``pred_sem_seg``, in which a pixel of several instances has the category of the highest
        score; crowds are void (255) and no instances. Its metainfo has ``name`` (without suffix,
        relative to the folder that all images have in common), ``img_path`` as in the file,
        ``ori_shape``, ``img_id`` and, of a frame, ``video``, ``video_id`` and ``frame_id``. Its
        instances have ``track_ids``, -1 where there is none, if the file has some of the image.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is no COCO JSON, an annotation names an unknown image or category, two
            categories have one name, or, while iterating, a segmentation is broken or differs in
            size from its image, or a score is no number from 0 to 1.
    """
    # here, because `instbox convert` starts without torch
    import torch
    from mmengine.structures import InstanceData, PixelData
    from mmseg.structures import SegDataSample

    from ...datasets.coco_file import read_coco_file

    def convert(arrays: PlainSample) -> SegDataSample:
        found, seg_map = arrays.pop('pred_instances'), arrays.pop('pred_sem_seg').data
        codes = found.pop('masks')
        check_limit('mask_bytes', len(codes) * seg_map.size,
                    f'{file}: image {arrays.img_id} as masks of its full size')
        masks = np.zeros((len(codes), *arrays.ori_shape), dtype=bool)
        for mask, code in zip(masks, codes, strict=True):
            mask[:] = decode_mask(code)
        bboxes = np.array([mask_tools.toBbox(code) for code in codes], np.float32).reshape(-1, 4)
        bboxes[:, 2:] += bboxes[:, :2]
        sample = SegDataSample(metainfo=dict(arrays))
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(seg_map))
        sample.pred_instances = InstanceData(
            **{key: torch.from_numpy(value) for key, value in found.items()},
            masks=torch.from_numpy(masks), bboxes=torch.from_numpy(bboxes))
        return sample

    samples, meta = samples_from_tables(read_coco_file(str(file)), str(file))
    return ((name, convert(sample)) for name, sample in samples), meta


def samples_from_tables(
        content: dict, file: str) -> tuple[Iterator[tuple[str, PlainSample]], dict]:
    """As :func:`samples_from_coco`, of tables in memory, as arrays without ``bboxes``, and masks as
    COCO's run lengths; ``file`` is their name in messages."""
    categories = sorted(content['categories'], key=lambda category: category['id'])
    things, images = tuple(category['name'] for category in categories), content['images']
    if not things or len(set(things)) < len(things):
        raise InvalidInputError(f'{file}: the names of the categories are {list(things)}; there '
                                'must be at least one, each once. Correct the file.')
    classes = things if 'background' in things else ('background', *things)
    meta = dict(classes=classes, thing_classes=things,
                palette=voc_palette()[np.arange(len(classes)) % VOID].tolist(),
                category_ids={category['id']: label for label, category in enumerate(categories)})
    by_image: dict[int, list[dict]] = {image['id']: [] for image in images}
    for annotation in content['annotations']:
        by_image[annotation['image_id']].append(annotation)
    paths = [PurePosixPath('/files', image['file_name'].replace('\\', '/')) for image in images]
    root, taken = common_folder(map(str, paths)), set()
    names = [distinct_name(path, taken, root) for path in paths]
    videos = {number(row.get('id')): str(row.get('name')) for row in content.get('videos', ())}
    return ((name, _sample(file, name, image, by_image[image['id']], meta, videos))
            for name, image in zip(names, images, strict=True)), meta


def _sample(file: str, name: str, image: dict, annotations: Sequence[dict], meta: dict,
            videos: dict[int, str]) -> PlainSample:
    shape = (image['height'], image['width'])
    crowds, objects = ([each for each in annotations if bool(each.get('iscrowd')) is crowd]
                       for crowd in (True, False))
    codes = _codes(file, objects, shape)
    labels = np.array([meta['category_ids'][each['category_id']] for each in objects], np.int64)
    for each in objects:
        score = each.get('score', 1.)
        if not isinstance(score, int | float) or not 0 <= score <= 1:
            raise InvalidInputError(f'{file}: annotation {each["id"]} has the score {score!r}, '
                                    'expected a number from 0 to 1. Correct the file.')
    scores = np.array([each.get('score', 1.) for each in objects], np.float32)
    background = 0 if len(meta['classes']) > len(meta['thing_classes']) else VOID
    seg_map = np.full(shape, background, dtype=np.int64)
    for code in _codes(file, crowds, shape):
        seg_map[decode_mask(code)] = VOID
    for index in np.argsort(-scores, kind='stable')[::-1]:
        crop = decode_crop(codes[index])
        seg_map[crop.window][crop.pixels] = labels[index] + (background == 0)
    frame = {key: value for key in ('video_id', 'frame_id')
             if (value := number(image.get(key))) is not None}
    if 'video_id' in frame:
        frame['video'] = videos.get(frame['video_id'], f'video {frame["video_id"]}')
    instances = PlainSample(masks=codes, labels=labels, scores=scores)
    tracks = [number(each.get('track_id')) for each in objects]
    if set(tracks) - {None}:
        instances['track_ids'] = np.array([-1 if track is None else track for track in tracks])
    return PlainSample(
        name=name, img_path=image['file_name'], ori_shape=shape, img_id=image['id'], **frame,
        pred_sem_seg=PlainSample(data=seg_map[None]), pred_instances=instances)


def _codes(file: str, annotations: Sequence[dict], shape: tuple[int, int]) -> list[dict]:
    """The run lengths of annotations of an image (H, W), with strings as ``counts``."""
    codes = (segmentation_rle(each['segmentation'], shape, f'{file}: annotation {each["id"]}')
             for each in annotations)
    return [dict(size=list(shape), counts=code['counts'].decode()) for code in codes]
