"""Builds a network from a name, a config, a checkpoint or an exported file, with its weights."""
import copy
import logging
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from ..deploy.exported_segmentor import ExportedSegmentor
from ..deploy.sessions import is_exported
from ..errors import InvalidInputError
from ..utils import walk
from ..utils.foreign_errors import convert_errors, first_few
from .categories import complete_dataset_meta
from .checkpoints import checkpoint_config, read_checkpoint, weights_of
from .config_io import find_config, load_config, merge_options

CHECKPOINT_SUFFIXES = ('.pth', '.pt', '.ckpt', '.bin')


def load_model(model: str | Path | Config,
               weights: str | Path | None = None,
               device: str | torch.device | None = None,
               cfg_options: dict | None = None,
               allow_pickle: bool = False) -> nn.Module:
    """Build a model, load its weights and make it ready to predict.

    Nothing is downloaded but weights that are given by their address: what a config says about
    weights to start a training from is left out.

    Args:
        model: A file that ``instbox export`` wrote; or a name of the model index, the path of a
            config file, a ``Config``, or a checkpoint that carries its config.
        weights: Checkpoint, as path or http(s) address; by default what the model index has.
        device: By default a GPU if there is one, for exported models the CPU.
        cfg_options: Settings that override the config's, by dotted keys.
        allow_pickle: Trust the checkpoint: let it hold pickled objects, and let a config in it
            import modules and name any type. All of that can run code.

    Returns:
        nn.Module: In eval mode, with ``cfg`` (Config) and ``dataset_meta`` (dict with ``classes``,
        ``thing_classes`` and ``palette``).

    Raises:
        MissingFileError: The config or the checkpoint is missing.
        InvalidInputError: The name or the device is unknown, a file is broken, is not to be
            trusted, carries no config or is of another architecture, the names of the categories
            are missing, or weights are given for an exported model.
    """
    if is_exported(model):
        if weights is not None:
            raise InvalidInputError(f'{model} is an exported model and has its weights in it: '
                                    f'leave {weights} out.')
        init_default_scope('mmseg')
        return ExportedSegmentor(model, device, cfg_options).eval()
    device = choose_device(device)
    cfg, checkpoint, source = read_model(model, weights, allow_pickle)
    merge_options(cfg, cfg_options)
    network = build_network(cfg)
    if checkpoint is None:
        print_log('No weights were given: the model predicts with random ones.', 'current',
                  logging.WARNING)
    else:
        load_weights(network, checkpoint, source)
    meta = (checkpoint or {}).get('meta') or {}
    network.dataset_meta = complete_dataset_meta(meta, cfg, network)
    network.cfg = cfg
    return network.to(device).eval()


def read_model(model: str | Path | Config, weights: str | Path | None = None,
               allow_pickle: bool = False) -> tuple[Config, dict | None, str]:
    """Config, checkpoint (None without weights) and where that is from; see :func:`load_model`."""
    checkpoint = None
    if isinstance(model, Config):
        cfg = copy.deepcopy(model)
    elif Path(model).suffix in CHECKPOINT_SUFFIXES or '://' in str(model):
        if weights is not None:
            raise InvalidInputError(f'{model} and {weights} are checkpoints both: give the config '
                                    'as model, or one of them alone.')
        checkpoint, weights = read_checkpoint(model, allow_pickle), model
        cfg = checkpoint_config(checkpoint, allow_pickle)
        if cfg is None:
            python = ('its config only as Python, which is not run'
                      if 'cfg' in (checkpoint.get('meta') or {}) else 'no config')
            raise InvalidInputError(f'{model} carries {python}: give the config, or its name in '
                                    'the model index, as model and this file as weights.')
    else:
        file, known = find_config(str(model))
        weights = weights or known
        if weights is None and file != str(model):
            raise InvalidInputError(f'The model index has no weights for {model}: train it, and '
                                    'give the checkpoint as weights.')
        cfg = load_config(file)
    if checkpoint is None and weights is not None:
        checkpoint = read_checkpoint(weights, allow_pickle)
    if cfg.get('data_preprocessor') and 'model' in cfg:  # as MMEngine's runner
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return cfg, checkpoint, str(weights)


def build_network(cfg: Config) -> nn.Module:
    """The untrained model of a config, without weights that it would start a training from.

    Raises:
        InvalidInputError: The config has no model, or one that cannot be built.
    """
    name = cfg.filename or 'The config'
    if 'model' not in cfg:
        raise InvalidInputError(f'{name} has no model: give the config of a segmentor.')
    with convert_errors(f'{name} has a model that cannot be built'):
        model = copy.deepcopy(cfg.model)
        for _, _, node in walk(model):
            for key in ('init_cfg', 'pretrained') if isinstance(node, dict) else ():
                if key == 'pretrained' or 'Pretrained' in str(node.get(key)):
                    node.pop(key, None)
        model['train_cfg'] = None
        init_default_scope(cfg.get('default_scope') or 'mmseg')
        return MODELS.build(model)


def load_weights(network: nn.Module, checkpoint: dict, source: str) -> None:
    """Load all weights of a model, half-precision ones as what the model computes in.

    Raises:
        InvalidInputError: Names or shapes of the weights differ from the model's, or see
            :func:`.weights_of`.
    """
    state, own = weights_of(checkpoint, source), network.state_dict()
    misfits = {key: f'{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}'
               for key, value in own.items()
               if key in state and state[key].shape != value.shape}
    fitting = {key: value for key, value in state.items() if key not in misfits}
    with convert_errors(f'{source} has weights that cannot be loaded'):
        missing, unexpected = network.load_state_dict(fitting, strict=False)
    missing = [key for key in missing
               if key not in state and not key.endswith('num_batches_tracked')]
    problems = {'missing': missing, 'unexpected': unexpected,
                'of another shape': misfits.values()}
    found = [f'{len(keys)} {what} ({first_few(keys)})' for what, keys in problems.items() if keys]
    if found:
        raise InvalidInputError(f'{source} is of another architecture than the config ({len(own)} '
                                f'weights): {"; ".join(found)}.')


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device of this name; for None the accelerator of this machine, else the CPU.

    Raises:
        InvalidInputError: This machine has no such device; the message names those it has.
    """
    found = get_device()
    if device is None and found == 'cpu':
        print_log('There is no GPU here: the model predicts on the CPU.', 'current')
    try:
        torch.zeros(1, device=device or found)
    except (RuntimeError, AssertionError) as error:
        names = ['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))]
        raise InvalidInputError(f'There is no device {str(device)!r} here: give one of '
                                f'{", ".join(dict.fromkeys([*names, found]))}.') from error
    return torch.device(device or found)
