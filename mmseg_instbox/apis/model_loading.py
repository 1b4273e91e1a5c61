"""Loads a model that predicts, whatever kind of file it is in."""
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from ..deploy.exported_segmentor import ExportedSegmentor
from ..deploy.sessions import is_exported
from ..engine import model_loading
from ..errors import InvalidInputError


def load_model(model: str | Path | Config,
               weights: str | Path | None = None,
               device: str | torch.device | None = None,
               cfg_options: dict | None = None,
               allow_pickle: bool = False) -> nn.Module:
    """Build a model, load its weights and make it ready to predict.

    Args:
        model: A file that ``instbox export`` wrote, or what
            :func:`mmseg_instbox.engine.model_loading.load_model` takes: a name of the model index,
            the path of a config file, a ``Config``, or a checkpoint that carries its config.
        weights: Checkpoint, as path or http(s) address; by default what the model index has.
        device: For example 'cuda:0' or 'cpu'; by default a GPU if there is one, for exported models
            the CPU.
        cfg_options: Settings that override the config's, by dotted keys.
        allow_pickle: Trust the checkpoint, and the config in it; both can then run code.

    Returns:
        nn.Module: In eval mode, with ``cfg`` (Config) and ``dataset_meta`` (dict with ``classes``,
        ``thing_classes`` and ``palette``).

    Raises:
        FileNotFoundError: The config, the checkpoint or the exported model is missing.
        ValueError: A file is broken, is not to be trusted or does not fit, the name is unknown, or
            weights are given for an exported model.
    """
    if not is_exported(model):
        return model_loading.load_model(model, weights, device, cfg_options, allow_pickle)
    if weights is not None:
        raise InvalidInputError(f'{model} is an exported model and has its weights in it: leave '
                                f'{weights} out.')
    init_default_scope('mmseg')
    return ExportedSegmentor(model, device, cfg_options).eval()
