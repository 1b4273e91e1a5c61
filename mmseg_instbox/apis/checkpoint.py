"""Checkpoints as data: reading them, and the config that travels in them."""
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from ..engine.checkpoint_file import TRUST, read_checkpoint
from ..engine.config_check import check_config_is_data
from ..engine.config_json import config_from_json
from ..errors import InvalidInputError

__all__ = ['checkpoint_config', 'read_checkpoint']


def checkpoint_config(checkpoint: dict, allow_pickle: bool = False) -> Config | None:
    """The resolved config that a checkpoint carries as JSON in ``meta['config_json']``.

    The config as Python that MMEngine writes (``meta['cfg']``) is never executed, and does not
    count.

    Args:
        checkpoint: What :func:`read_checkpoint` gives.
        allow_pickle: Trust the checkpoint: import what its config asks for, and let it name any
            type. Otherwise it may name registered types alone.

    Returns:
        Config | None: None if the checkpoint carries no config.

    Raises:
        ValueError: The JSON is broken, or the config is not data alone.
    """
    text = (checkpoint.get('meta') or {}).get('config_json')
    if text is None:
        return None
    cfg = config_from_json(text)
    if allow_pickle:
        if cfg.get('custom_imports'):
            import_modules_from_strings(**cfg.custom_imports)
        return cfg
    try:
        check_config_is_data(cfg.to_dict(), 'The config in the checkpoint')
    except InvalidInputError as error:
        raise InvalidInputError(f'{str(error).rstrip(".")}; {TRUST}.') from error
    return cfg
