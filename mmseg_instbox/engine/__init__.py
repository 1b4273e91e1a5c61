"""Runs: their configs, checkpoints, hooks and training; the model index and loading of models.

Names are imported when they are first used, so that reading the model index does not import torch.
"""
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoints import read_checkpoint
    from .config_check import check_config_is_data
    from .config_io import config_from_json, config_to_json, find_config, load_config
    from .model_index import find_model, list_models
    from .model_loading import build_network, load_model
    from .run_config import adapt_to_cpu, start_runner
    from .start_weights import last_checkpoint
    from .testing import run_testing, testing_config
    from .training import run_training, training_config

_PLACES = {
    'adapt_to_cpu': 'run_config',
    'build_network': 'model_loading',
    'check_config_is_data': 'config_check',
    'config_from_json': 'config_io',
    'config_to_json': 'config_io',
    'find_config': 'config_io',
    'find_model': 'model_index',
    'last_checkpoint': 'start_weights',
    'list_models': 'model_index',
    'load_config': 'config_io',
    'load_model': 'model_loading',
    'read_checkpoint': 'checkpoints',
    'run_testing': 'testing',
    'run_training': 'training',
    'start_runner': 'run_config',
    'testing_config': 'testing',
    'training_config': 'training',
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    """Import a name of this package."""
    if name not in _PLACES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_PLACES[name]}', __name__), name)
