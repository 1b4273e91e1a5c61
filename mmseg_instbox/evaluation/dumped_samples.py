"""Dumped predictions beside the ground truth of their data set."""
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmseg_instbox.core.base_grouper import category_map

from ..errors import InvalidInputError
from ..utils.foreign_errors import convert_errors
from .metrics.sample_reader import category_names, read_map
from .prediction_dump import PredictionDump


class DumpedSamples:
    """Data samples as ``InstBoxMetric`` takes them, from a dump and its data set.

    ``samples[i]`` is a dict with the ground truth that the data set's pipeline packs, and with
    ``pred_scores`` and ``pred_boxes`` (``dict(data=...)``), ``grid_extent``, and ``pred_sem_seg``,
    the category map of the interpolated scores. ``pred_instances`` is left to a grouper.

    Args:
        dataset: The data set that was predicted, with its test pipeline.
        dump: The predictions.

    Attributes:
        dataset_meta (dict): The data set's metainfo.
        thing_ids (list[int]): Index among the classes of each thing class.

    Raises:
        ValueError: If the dump is of another data set.
    """

    def __init__(self, dataset: BaseDataset, dump: PredictionDump) -> None:
        self.dataset = dataset
        self.dump = dump
        self.dataset_meta = dict(dataset.metainfo)
        classes, things = category_names(self.dataset_meta)
        self.thing_ids = [list(classes).index(name) for name in things]
        self._check()

    @classmethod
    def from_config(cls, cfg: Config, folder: str | Path) -> 'DumpedSamples':
        """The samples of a dump and the config's ``test_dataloader.dataset``.

        Args:
            cfg: The config that the dump was written with, or one with the same data set.
            folder: Directory of the dump.

        Raises:
            FileNotFoundError: If the dump or data are missing.
            ValueError: If the dump is broken or of another data set.
        """
        dump = PredictionDump(folder)
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        if not cfg.get('test_dataloader'):
            raise InvalidInputError(f'{cfg.filename}: the config has no test_dataloader; give the '
                                    'config that the dump was written with')
        with convert_errors('test_dataloader.dataset cannot be built'):
            dataset = DATASETS.build(cfg.test_dataloader.dataset)
        dataset.full_init()
        return cls(dataset, dump)

    def _check(self) -> None:
        for key in ('classes', 'thing_classes'):
            if list(self.dump.meta[key]) != list(self.dataset_meta[key]):
                raise InvalidInputError(
                    f'{self.dump.folder}: the dump has the {key} {list(self.dump.meta[key])}, the '
                    f'data set {list(self.dataset_meta[key])}; give the config of the dump.')
        names = [Path(self.dataset.get_data_info(i)['img_path']).name
                 for i in range(len(self.dataset))]
        dumped = [Path(path).name for path in self.dump.img_paths]
        if names != dumped:
            raise InvalidInputError(f'{self.dump.folder}: the dump holds {_describe(dumped)}, the '
                                    f'data set {_describe(names)}; give the config and the '
                                    '--cfg-options that the dump was written with.')

    def __len__(self) -> int:
        return len(self.dump)

    def __getitem__(self, index: int) -> dict:
        predicted = self.dump[index]
        sample = self.dataset[index]['data_samples'].to_dict()
        scores, extent = predicted['scores'], predicted['extent']
        seg_map = category_map(scores, tuple(read_map(sample, 'gt_sem_seg').shape), extent)
        sample.update(
            pred_scores=dict(data=scores),
            pred_boxes=dict(data=predicted['boxes']),
            pred_sem_seg=dict(data=seg_map[None]),
            grid_extent=extent)
        return sample


def _describe(names: list[str]) -> str:
    """How many images, and the ends of the list."""
    return f'{len(names)} images ({names[0]} to {names[-1]})' if names else 'no image'
