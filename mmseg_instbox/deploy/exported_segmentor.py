from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmseg.registry import MODELS, TASK_UTILS
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from ..core.dense_prediction import check_test_cfg
from ..errors import InvalidInputError
from ..models.segmentors.cell_predictor import CellPredictor
from .exported_model import ExportedModel


class ExportedSegmentor(CellPredictor, BaseModel):
    """An exported model as an mmseg segmentor, which predicts and cannot be trained.

    Args:
        path: A file that ``instbox export`` wrote, ``.onnx`` or ``.xml``.
        device: As for :class:`.ExportedModel`; grouping runs on the CPU.
        cfg_options: Overrides of ``model.grouper`` and ``model.test_cfg``, by dotted keys.

    Attributes:
        cfg (Config): ``model`` with ``grouper`` and ``test_cfg``, and ``test_pipeline``.
        dataset_meta (dict): ``classes``, ``thing_classes`` and ``palette``.

    Raises:
        InstBoxError: As :class:`.ExportedModel`, or for other options.
    """

    def __init__(self, path: str | Path, device: str | None = None,
                 cfg_options: dict | None = None) -> None:
        exported = ExportedModel(path, device)
        settings = exported.settings
        padding = dict(settings.padding)
        super().__init__(MODELS.build(dict(
            type='InstBoxDataPreProcessor', mean=settings.mean, std=settings.std,
            bgr_to_rgb=settings.bgr_to_rgb, pad_val=padding.pop('value'), test_cfg=padding)))
        resize = settings.resize
        steps = [] if resize is None else [
            dict(type='Resize', scale=tuple(resize['scale']), keep_ratio=resize['keep_ratio'])]
        self.cfg = Config(dict(
            model=dict(grouper=settings.grouper, test_cfg=settings.test_cfg),
            test_pipeline=[dict(type='LoadInstImage'), *steps, dict(type='PackInstInputs')]))
        fixed = [key for key in cfg_options or ()
                 if not key.startswith(('model.grouper', 'model.test_cfg'))]
        if fixed:
            raise InvalidInputError(f'An exported model takes overrides of model.grouper and '
                                    f'model.test_cfg only, not of {", ".join(fixed)}.')
        self.cfg.merge_from_dict(cfg_options or {})
        self.exported = exported
        meta = settings.dataset_meta
        self.dataset_meta = dict(meta, classes=tuple(meta['classes']),
                                 thing_classes=tuple(meta['thing_classes']))
        self.num_classes = len(self.dataset_meta['classes'])
        self.thing_ids = list(settings.thing_ids)
        self.test_cfg = self.cfg.model.test_cfg
        check_test_cfg(self.test_cfg)
        self.grouper = TASK_UTILS.build(self.cfg.model.grouper)
        # identifies the model where weights are compared
        self.register_buffer('digest', torch.tensor(list(bytes.fromhex(exported.digest))))

    def forward_dense(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Category logits and boxes on their feature grids, see :class:`.ExportedModel`."""
        return self.exported.forward_dense(inputs)

    def forward(self, inputs: Tensor, data_samples: OptSampleList = None,
                mode: str = 'predict') -> SampleList:
        """Predicts a batch as ``InstBoxSegmentor.predict``; other modes are refused."""
        if mode != 'predict':
            raise InvalidInputError(f'An exported model only predicts, it has no mode {mode!r}: '
                                    'train the original model, and export it again.')
        return self.predict(inputs, data_samples)
