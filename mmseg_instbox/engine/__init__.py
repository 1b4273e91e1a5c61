"""Runs: their configs, checkpoints, hooks and training; the model index and loading of models.

Names are imported when they are first used, so that reading the model index does not import torch.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoints import (
        check_pretrained,
        check_weights,
        checkpoint_config,
        last_checkpoint,
        read_checkpoint,
    )
    from .config_check import check_config_is_data
    from .config_io import (
        config_from_json,
        config_to_json,
        find_config,
        load_config,
        near_files,
    )
    from .hooks import (
        DurableBackend,
        DurableCheckpointHook,
        LossGuardHook,
        PixelBoxVisualizationHook,
        PlainCheckpointHook,
        ProgressLineHook,
        ResumableSeedHook,
    )
    from .loops import BudgetTrainLoop
    from .model_index import find_model, list_models
    from .model_loading import build_network, load_model, load_weights, read_model
    from .optim_wrappers import CPUAmpOptimWrapper, use_amp
    from .run_building import (
        check_architecture,
        start_runner,
        testing_config,
        training_config,
        write_metrics,
    )
    from .run_config import (
        adapt_to_cpu,
        draw_pictures,
        dump_boxes,
        set_resume,
        set_work_dir,
        watch_training,
        write_plain_checkpoints,
    )
    from .samplers import SeededDefaultSampler, SeededInfiniteSampler
    from .training import check_work_dir, run_training
    from .tta import augmented_pipeline, use_tta

_NAMES = {
    'checkpoints': ('check_pretrained', 'check_weights', 'checkpoint_config', 'last_checkpoint',
                    'read_checkpoint'),
    'config_check': ('check_config_is_data', ),
    'config_io': ('config_from_json', 'config_to_json', 'find_config', 'load_config', 'near_files'),
    'hooks': ('DurableBackend', 'DurableCheckpointHook', 'LossGuardHook',
              'PixelBoxVisualizationHook', 'PlainCheckpointHook', 'ProgressLineHook',
              'ResumableSeedHook'),
    'loops': ('BudgetTrainLoop', ),
    'model_index': ('find_model', 'list_models'),
    'model_loading': ('build_network', 'load_model', 'load_weights', 'read_model'),
    'optim_wrappers': ('CPUAmpOptimWrapper', 'use_amp'),
    'run_building': ('check_architecture', 'start_runner', 'testing_config', 'training_config',
                     'write_metrics'),
    'run_config': ('adapt_to_cpu', 'draw_pictures', 'dump_boxes', 'set_resume', 'set_work_dir',
                   'watch_training', 'write_plain_checkpoints'),
    'samplers': ('SeededDefaultSampler', 'SeededInfiniteSampler'),
    'training': ('check_work_dir', 'run_training'),
    'tta': ('augmented_pipeline', 'use_tta'),
}
_PLACES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    """Import a name of this package."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_PLACES[name]}', __name__), name)
