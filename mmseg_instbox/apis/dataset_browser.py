"""Draws training samples as the network gets them, with the targets of the box head."""
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.utils import track_iter_progress
from mmseg.registry import DATASETS, MODELS

from ..engine import load_config
from ..engine.samplers.seeded_samplers import SeededIndex, seeded
from ..errors import InvalidIndexError, InvalidInputError
from ..utils.decoding import read_image
from ..utils.foreign_errors import convert_errors
from ..visualization import PixelBoxVisualizer, add_box_targets
from ..visualization.utils import check_display, write_image

PADDING_GREY = (128, 128, 128)
# not named in captions: every pipeline loads and packs
COMMON_TRANSFORMS = ('LoadInstImage', 'LoadInstAnnotations', 'PackInstInputs', 'LoadImageFromFile',
                     'LoadAnnotations', 'PackSegInputs')


class DatasetBrowser:
    """Draws samples of a config's data set after all transforms.

    A drawing shows the image as it goes into the network, with the names of the transforms that
    changed it; masks and boxes; and the box targets on the grid of the box head, computed by the
    functions of its loss. The model is built to find the size of this grid and needs no weights.
    There are no targets without a box head, or if annotations keep the size of the file, as in
    validation: these are drawn on the original image.

    Args:
        cfg: A config.
        split: ``'train'``, ``'val'`` or ``'test'``: the data loader to show.
        seed: Seed of the random transforms. A run with ``SeededInfiniteSampler`` and this seed
            sees the same samples in its first epoch.

    Raises:
        ValueError: The config has no such data loader.
    """

    def __init__(self, cfg: Config, split: str = 'train', seed: int = 0) -> None:
        loader = cfg.get(f'{split}_dataloader')
        if not loader:
            raise InvalidInputError(f'{cfg.filename} has no {split}_dataloader; choose another '
                                    "split of 'train', 'val' and 'test'.")
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        with convert_errors(f'The data set of {split}_dataloader cannot be built', KeyError,
                            TypeError):
            self.dataset = DATASETS.build(loader['dataset'])
        model = cfg.model.copy()
        if cfg.get('data_preprocessor'):
            model.setdefault('data_preprocessor', cfg.data_preprocessor)
        with convert_errors('The model of the config cannot be built', KeyError, TypeError):
            self.model = MODELS.build(model).eval()
        self.seed = seed
        self.visualizer = PixelBoxVisualizer()
        self.visualizer.dataset_meta = self.dataset.metainfo
        self._grids: dict[tuple[int, ...], tuple[int, int]] = {}

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.dataset)

    @property
    def transforms(self) -> list[str]:
        """Names of the transforms in order; of the first data set if there are several."""
        dataset = self.dataset
        while not hasattr(dataset, 'pipeline'):
            dataset = dataset.datasets[0] if hasattr(dataset, 'datasets') else dataset.dataset
        return [type(transform).__name__ for transform in dataset.pipeline.transforms]

    def __getitem__(self, index: int) -> tuple[str, np.ndarray]:
        """The name of a sample's image without suffix, and its drawing (H, W, 3) uint8 RGB.

        Raises IndexError if the sample does not exist.
        """
        if not 0 <= index < len(self):
            raise InvalidIndexError(f'There is no sample {index}: the data set has {len(self)}.')
        with seeded(SeededIndex(index, self.seed, 0).seed):
            packed = self.dataset[index]
        return Path(packed['data_samples'].img_path).stem, self._draw(packed)

    def _draw(self, packed: dict) -> np.ndarray:
        sample, inputs = packed['data_samples'], packed['inputs']
        truth = sample.get('gt_inst_map', sample.get('gt_sem_seg'))
        if truth is not None and truth.shape[-2:] != inputs.shape[-2:]:  # has the file's size
            image = np.ascontiguousarray(read_image(sample.img_path)[..., ::-1])
            return self.visualizer.draw_training_sample(image, sample)
        changes = ', '.join(name for name in self.transforms if name not in COMMON_TRANSFORMS)
        caption = f'image after {changes}' if changes else 'image'
        image = inputs[[2, 1, 0]].permute(1, 2, 0).numpy()
        if not hasattr(self.model, 'box_head') or 'gt_inst_map' not in sample:
            return self.visualizer.draw_training_sample(image, sample, caption)
        batch = self.model.data_preprocessor(dict(inputs=[inputs], data_samples=[sample]),
                                             training=True)
        sample = batch['data_samples'][0]
        shape = tuple(batch['inputs'].shape[-2:])
        if shape not in self._grids:  # of the output of the box head
            with torch.no_grad():
                self._grids[shape] = tuple(self.model.forward_dense(batch['inputs'])[1].shape[-2:])
        add_box_targets(sample, self.model.box_head, self._grids[shape])
        padded = mmcv.impad(image, shape=sample.gt_inst_map.shape[-2:], pad_val=PADDING_GREY)
        return self.visualizer.draw_training_sample(padded, sample, caption)


def browse_dataset(config: str,
                   out_dir: str | None = None,
                   *,
                   split: str = 'train',
                   number: int | None = None,
                   seed: int = 0,
                   show: bool = False,
                   wait_time: float = 0,
                   cfg_options: dict | None = None) -> int:
    """Draws the first samples of a config's data set, see :class:`DatasetBrowser`.

    Args:
        config: A config file, or a name in the model index.
        out_dir: Folder for the drawings, ``INDEX_NAME.jpg``; None writes none.
        split, seed: See :class:`DatasetBrowser`.
        number: Number of samples; None means all.
        show: Whether to open a window for each drawing.
        wait_time: Seconds that a window stays; 0 waits for a key.
        cfg_options: Settings of the config to override, dotted keys with their values.

    Returns:
        int: The number of drawings.

    Raises:
        FileNotFoundError: The config does not exist.
        ValueError: Neither ``out_dir`` nor ``show`` is given, there is no display, ``out_dir`` is a
            file, or the config has no such split.
    """
    if out_dir is None and not show:
        raise InvalidInputError('The drawings are neither written nor shown: give out_dir or '
                                'show=True.')
    if out_dir is not None and Path(out_dir).is_file():
        raise InvalidInputError(f'{out_dir} is a file; give a folder for the drawings.')
    if show:
        check_display()
    browser = DatasetBrowser(load_config(config, cfg_options), split, seed)
    count = len(browser) if number is None else min(number, len(browser))
    print_log(f'{count} of {len(browser)} samples after {", ".join(browser.transforms)}', 'current')
    for index in track_iter_progress(range(count)):
        name, drawing = browser[index]
        if out_dir is not None:
            write_image(drawing, str(Path(out_dir, f'{index:04d}_{name}.jpg')))
        if show:
            browser.visualizer.show(drawing, win_name=name, wait_time=wait_time)
    return count
