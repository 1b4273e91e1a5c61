import logging
import os.path as osp
from pathlib import Path

import mmengine.fileio as fileio
import numpy as np
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..errors import InstBoxError, InvalidInputError, MissingFileError
from ..utils.image_header import IMAGE_SUFFIXES
from .instance_maps import VOID
from .transforms.loading import LoadInstAnnotations, LoadInstImage
from .transforms.pipeline_check import check_pipeline
from .voc_layout import read_list

VOC_FOLDERS = dict(
    img_path='JPEGImages', seg_map_path='SegmentationClass', inst_map_path='SegmentationObject')


@DATASETS.register_module()
class InstBoxDataset(BaseSegDataset):
    """Images with category masks and instance masks in the layout of PASCAL VOC.

    Extends mmseg's ``BaseSegDataset``. Masks are indexed or greyscale PNG: in the category mask 255
    is void, in the instance mask 0 is no object and 255 void.

    Args:
        ann_file: List of image names, one a line, relative to ``data_root``; a name that has a
            suffix keeps it. Empty: all images of the folder.
        metainfo: ``classes``, and if wanted ``palette`` and ``thing_classes``: the categories that
            have instances, by default all but 'background'.
        data_prefix: Folders ``img_path``, ``seg_map_path`` and ``inst_map_path``, relative to
            ``data_root``. With ``img_path`` alone the data set has no annotations.
        on_error: What to do about a sample that cannot be used. 'raise': an error that names the
            file, when the sample is loaded. 'skip': every sample is loaded once when the data set
            is built, and the faulty ones are logged, counted and left out.
        **kwargs: See ``BaseSegDataset``; ``seg_map_suffix`` is the suffix of both masks.

    Raises:
        ValueError: If the arguments contradict each other, the list is empty or names a file
            outside of the folder, no sample can be used, or the pipeline holds a transform that
            does not carry the instance map.
        FileNotFoundError: If the list or a folder is missing.
    """

    def __init__(self,
                 ann_file: str = '',
                 metainfo: dict | None = None,
                 data_prefix: dict = VOC_FOLDERS,
                 on_error: str = 'raise',
                 lazy_init: bool = False,
                 **kwargs) -> None:
        if on_error not in ('raise', 'skip'):
            raise InvalidInputError(f"on_error is '{on_error}', expected 'raise' or 'skip'.")
        self.on_error = on_error
        self._check_arguments(metainfo, data_prefix)
        super().__init__(
            ann_file=ann_file, metainfo=metainfo, data_prefix=data_prefix, lazy_init=True, **kwargs)
        self._metainfo['thing_classes'] = self._choose_thing_classes(metainfo or {})
        check_pipeline(self.pipeline)
        if not lazy_init:
            self.full_init()

    def _check_arguments(self, metainfo: dict | None, data_prefix: dict) -> None:
        classes = (self.METAINFO | (metainfo or {})).get('classes')
        if not classes:
            raise InvalidInputError(f'{type(self).__name__} needs the names of the categories: '
                                    "pass metainfo=dict(classes=('background', ...)).")
        if len(classes) > VOID:
            raise InvalidInputError(f'{type(self).__name__} got more than {VOID} categories, the '
                                    'most that are possible; 255 stands for void. Join some.')
        if data_prefix.get('img_path') is None:
            raise InvalidInputError(f'data_prefix is {data_prefix}, but needs the folder img_path.')
        if ('seg_map_path' in data_prefix) != ('inst_map_path' in data_prefix):
            raise InvalidInputError(f'data_prefix is {data_prefix}: give both seg_map_path and '
                                    'inst_map_path, or neither for images without annotations.')

    def _choose_thing_classes(self, metainfo: dict) -> tuple[str, ...]:
        classes = self._metainfo['classes']
        # the background is recognised by its name in any case
        names = ['background' if name.lower() == 'background' else name for name in classes]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InvalidInputError(f'{type(self).__name__} got the classes {tuple(classes)}: '
                                    f'{repeated} stand there more than once. Give each category a '
                                    'name of its own.')
        if 'thing_classes' not in metainfo:
            known = self._metainfo.get('thing_classes', classes)
            return tuple(name for name in known if name in classes and name != 'background')
        chosen = tuple(self._metainfo['thing_classes'])
        if not set(chosen) <= set(classes) or len(set(chosen)) != len(chosen):
            raise InvalidInputError(f'thing_classes is {chosen}; it must name classes once each, '
                                    f'and only some of the classes {tuple(classes)}.')
        return chosen

    @property
    def thing_ids(self) -> list[int]:
        """Index in ``classes`` of each thing class, in the order of ``thing_classes``."""
        return [self._metainfo['classes'].index(name) for name in self._metainfo['thing_classes']]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Indices in ``classes`` of an image, for mmengine's ``ClassBalancedDataset``."""
        loader = LoadInstAnnotations(backend_args=self.backend_args)
        seg_map = loader(dict(self.get_data_info(idx), seg_fields=[]))['gt_seg_map']
        return [int(label) for label in np.unique(seg_map) if label != VOID]

    def load_data_list(self) -> list[dict]:
        """List the samples: as of ``BaseSegDataset``, with ``inst_map_path``, ``num_classes`` and
        ``thing_ids``."""
        self._check_folders()
        info = dict(num_classes=len(self._metainfo['classes']), thing_ids=self.thing_ids,
                    label_map=self.label_map, reduce_zero_label=self.reduce_zero_label)
        data_list = []
        for image, name in self._list_names():
            mask = name + self.seg_map_suffix
            paths = {key: osp.join(folder, image if key == 'img_path' else mask)
                     for key, folder in self.data_prefix.items()}
            data_list.append(info | paths | dict(seg_fields=[]))
        return data_list

    def _list_names(self) -> list[tuple[str, str]]:
        """Names of the images with their suffix, and those that their masks have without."""
        if self.ann_file:
            names = []
            for listed in read_list(Path(self.ann_file)):
                name = listed.replace('\\', '/')
                stem, suffix = osp.splitext(name)
                is_whole = suffix.lower() in IMAGE_SUFFIXES
                names.append((name, stem) if is_whole else (name + self.img_suffix, name))
            return names
        folder = self.data_prefix['img_path']
        files = sorted(fileio.list_dir_or_file(folder, list_dir=False, suffix=self.img_suffix,
                                               recursive=True, backend_args=self.backend_args))
        if not files:
            raise InvalidInputError(f'{folder}: no images are listed here (suffix '
                                    f"'{self.img_suffix}').")
        return [(file, file.removesuffix(self.img_suffix)) for file in files]

    def _check_folders(self) -> None:
        for key, folder in self.data_prefix.items():
            if not fileio.isdir(folder or '.', backend_args=self.backend_args):
                raise MissingFileError(f'{folder}: no such folder. Check data_root and '
                                       f"data_prefix['{key}'].")

    def filter_data(self) -> list[dict]:
        """Leave out the samples that cannot be loaded, if ``on_error='skip'``."""
        if self.on_error == 'raise':
            return self.data_list
        kept = []
        for info in self.data_list:
            results = dict(info, seg_fields=[])
            try:
                for loader in (LoadInstImage, LoadInstAnnotations):
                    results = loader(backend_args=self.backend_args)(results)
                kept.append(info)
            except InstBoxError as error:
                print_log(f'Left out: {error}', logger='current', level=logging.WARNING)
        skipped = len(self.data_list) - len(kept)
        print_log(f'{type(self).__name__}: left out {skipped} of {len(self.data_list)} samples.',
                  logger='current', level=logging.WARNING if skipped else logging.INFO)
        if not kept:
            raise InvalidInputError(f'{self.ann_file or self.data_prefix["img_path"]}: none of the '
                                    f'{skipped} samples can be used; the log names the reasons.')
        return kept
