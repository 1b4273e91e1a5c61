"""Load images and annotations of a data set."""
from collections.abc import Sequence

import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import Compose, LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from ...errors import InvalidInputError, MissingFileError
from ...utils.decoding import upright_bgr
from ...utils.foreign_errors import convert_errors
from ...utils.image_header import DEEP_MODES, check_tiff_size, open_image
from ..coco_masks import paint_objects
from ..instance_maps import VOID, check_objects, check_same_size, map_categories
from .transforms import Resize


def read_bytes(path: str, what: str, backend_args: dict | None = None) -> bytes:
    """Read a file of a data set; raises FileNotFoundError or, if it is empty or cannot be read,
    ValueError, in which ``what`` names its kind."""
    try:
        content = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise MissingFileError(f'{path}: no such {what}. Check data_root, data_prefix, the file '
                               'suffixes and the list given as ann_file.') from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file has
        raise InvalidInputError(f'{path}: the {what} cannot be read ({error}).') from error
    if not content:
        raise InvalidInputError(f'{path}: the {what} is an empty file. Replace it.')
    return content


def read_mask(path: str, what: str, backend_args: dict | None = None) -> np.ndarray:
    """Read an indexed or greyscale mask as the indices that it stores, (H, W) int32.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not decode fully, has several channels or too many pixels, or
            holds fractions.
    """
    image = open_image(read_bytes(path, what, backend_args), path)
    if len(image.getbands()) > 1 or image.mode == 'F':
        raise InvalidInputError(f'{path}: the {what} has {len(image.getbands())} channels of mode '
                                f'{image.mode}, expected one of whole numbers. Save it as indexed '
                                'or greyscale PNG whose pixel values are the indices.')
    with convert_errors(f'{path}: the {what} is broken or truncated'):
        return np.asarray(image).astype(np.int32)


@TRANSFORMS.register_module()
class LoadInstImage(LoadImageFromFile):
    """Load an image and refuse a missing, unreadable or truncated one.

    Extends mmcv's ``LoadImageFromFile``. It decodes with pillow, because OpenCV fills the missing
    part of a truncated file with grey and says nothing.

    Required keys: ``img_path``. Added keys: ``img`` (H, W, 3) BGR, ``img_shape`` and ``ori_shape``,
    both (H, W).

    Args:
        to_float32: Whether to convert the image from uint8 to float32.
        color_type: Flag of ``mmcv.imfrombytes``.
        imdecode_backend: 'pillow', or 'tifffile' for TIFF images.
        backend_args: Arguments of mmengine's file backend.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a decoding backend is asked for that accepts truncated files; or an image
            does not decode to its end or has too many pixels, see
            :mod:`mmseg_instbox.utils.limits`.
    """

    def __init__(self,
                 to_float32: bool = False,
                 color_type: str = 'color',
                 imdecode_backend: str = 'pillow',
                 *,
                 backend_args: dict | None = None) -> None:
        if imdecode_backend not in ('pillow', 'tifffile'):
            raise InvalidInputError(f"LoadInstImage got imdecode_backend='{imdecode_backend}', "
                                    'which may decode a truncated image without an error; use '
                                    "'pillow' or 'tifffile'.")
        super().__init__(to_float32=to_float32, color_type=color_type,
                         imdecode_backend=imdecode_backend, backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Load the image named by ``results['img_path']``."""
        path = results['img_path']
        img = self._decode(read_bytes(path, 'image', self.backend_args), path)
        results['img'] = img.astype(np.float32) if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results

    def _decode(self, content: bytes, path: str) -> np.ndarray:
        image = None
        if self.imdecode_backend == 'tifffile':
            check_tiff_size(content, path)
        else:
            image = open_image(content, path)
            if image.mode in DEEP_MODES and self.color_type != 'color':
                raise InvalidInputError(f'{path}: a grey image of more than 8 bits a pixel, which '
                                        "pillow would cut off at 255. Use color_type='color' or "
                                        "imdecode_backend='tifffile'.")
        with convert_errors(f'{path}: the image is broken or truncated; replace it, or leave it '
                            "out with on_error='skip' of the data set"):
            if image is not None and self.color_type == 'color':
                return upright_bgr(image)
            return mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)


@TRANSFORMS.register_module()
class LoadInstAnnotations(LoadAnnotations):
    """Load the category map and the instance map of an image, however the sample stores them.

    Extends mmseg's ``LoadAnnotations``. A sample has either two masks (VOC), one mask whose values
    code category and object (``id_divisor``, Cityscapes), or a list of outlines (``coco_objects``,
    COCO). A pixel that is void in the category map, also because its category was left out of
    ``classes``, becomes void in the instance map. Results without annotations (an image to predict
    on) pass unchanged.

    Required keys: ``num_classes``, ``thing_ids``, ``seg_fields``, and ``seg_map_path`` and
    ``inst_map_path`` with ``label_map``, ``reduce_zero_label`` and, for coded masks,
    ``id_divisor``; or ``coco_objects`` with ``coco_shape``, ``background`` and ``ann_file``.
    Added keys: ``gt_seg_map`` (H, W) uint8 and ``gt_inst_map`` (H, W) int32 (0 none, 255 void),
    both named in ``seg_fields``; ``gt_at_ori_shape``, whether the image had another size than its
    annotations when they were loaded, as in a test pipeline that resizes first.

    Args:
        backend_args: Arguments of mmengine's file backend.

    Raises:
        FileNotFoundError: If a mask is missing.
        ValueError: If a mask is broken, has another size than its image, holds an index that is no
            category, or an object that has not exactly one thing category; or an outline is broken.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        super().__init__(backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Load both maps."""
        if 'coco_objects' in results:
            load = _paint_objects
        elif results.get('seg_map_path') is None and results.get('inst_map_path') is None:
            return results
        else:
            needed = ('seg_map_path', 'inst_map_path', 'num_classes', 'thing_ids', 'seg_fields')
            missing = [key for key in needed if results.get(key) is None]
            if missing:
                raise InvalidInputError(f'LoadInstAnnotations misses {missing} for '
                                        f'{results.get("img_path")}. Use InstBoxDataset (or a '
                                        'subclass), which provides them.')
            load = self._read_masks
        results['gt_seg_map'], results['gt_inst_map'] = load(results)
        results['seg_fields'] += ['gt_seg_map', 'gt_inst_map']
        if 'ori_shape' in results:
            results['gt_at_ori_shape'] = results['img'].shape[:2] != results['ori_shape'][:2]
        return results

    def _read_masks(self, results: dict) -> tuple[np.ndarray, np.ndarray]:
        path, inst_path = results['seg_map_path'], results['inst_map_path']
        things, divisor = results['thing_ids'], results.get('id_divisor')
        stored = read_mask(path, 'category mask', self.backend_args)
        if 'ori_shape' in results:
            check_same_size(stored.shape, results['ori_shape'], path, 'its image')
        if divisor:  # from there on, a value is category * divisor + number, and the object's id
            is_object = stored >= divisor
            inst_map = np.where(is_object, stored, 0)
            stored = np.where(is_object, stored // divisor, stored)
        seg_map = map_categories(stored, path, results['num_classes'], results.get('label_map'),
                                 results.get('reduce_zero_label', False))
        if divisor:  # things of no object are void, and stuff has no ids
            is_thing = np.isin(seg_map, things)
            inst_map[~is_thing] = 0
            inst_map[(seg_map == VOID) | is_thing & (inst_map == 0)] = VOID
            return seg_map, inst_map
        inst_map = read_mask(inst_path, 'instance mask', self.backend_args)
        check_same_size(inst_map.shape, seg_map.shape, inst_path, 'the category mask')
        # First only what label_map makes void: an object stored on void alone is an error.
        inst_map[(seg_map == VOID) & (stored != VOID)] = VOID
        check_objects(seg_map, inst_map, things, inst_path)
        inst_map[seg_map == VOID] = VOID
        return seg_map, inst_map


@TRANSFORMS.register_module()
class CachedLoading(Compose):
    """Load with other transforms, and keep what they gave in memory for the next time.

    Decoding a photograph of 12 million pixels takes longer than training on it. Each worker of a
    data loader has a cache of its own.

    Required and added keys are those of the transforms. Arrays cannot be written to: a transform
    that makes new ones, such as ``RandomResize``, comes next.

    Args:
        transforms: The transforms, which draw nothing at random.
        max_side: Images with a longer side, in pixels, are reduced to it.
        max_bytes: Memory for arrays; images beyond it are loaded each time.
    """

    def __init__(self, transforms: Sequence[dict], max_side: int, max_bytes: int = 2**30) -> None:
        super().__init__(transforms)
        self.max_side = max_side
        self._room = max_bytes
        self._reduce = Resize(scale=(max_side, max_side), keep_ratio=True)
        self._known: dict[tuple, dict] = {}

    def transform(self, results: dict) -> dict | None:
        """Load a sample, or give what was loaded before."""
        sample = results['img_path'], results.get('sample_idx')  # several may have one image
        known = self._known.get(sample)
        if known is None:
            known = super().transform(results)
            if known is None:
                return None
            if max(known['img'].shape[:2]) > self.max_side:
                known = self._reduce(known)
            arrays = [each for each in known.values() if isinstance(each, np.ndarray)]
            for each in arrays:
                each.flags.writeable = False
            size = sum(each.nbytes for each in arrays)
            if size <= self._room:
                self._room -= size
                self._known[sample] = known
        return {key: [*value] if isinstance(value, list) else value for key, value in known.items()}


def _paint_objects(results: dict) -> tuple[np.ndarray, np.ndarray]:
    where = f'{results["ann_file"]}: {results["img_path"]}'
    shape = results['coco_shape']
    if 'ori_shape' in results:
        check_same_size(shape, results['ori_shape'], where, 'the image file')
    return paint_objects(results['coco_objects'], shape, results['background'],
                         results['thing_ids'], where)
