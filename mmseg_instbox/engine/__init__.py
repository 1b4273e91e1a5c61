"""Runs: their configs, checkpoints, hooks and training; the model index and loading of models.

Names are imported when they are first used, so that reading the model index does not import torch.
"""
from typing import TYPE_CHECKING

from ..utils.lazy_names import lazy_names

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

__getattr__, __all__ = lazy_names(__name__)
