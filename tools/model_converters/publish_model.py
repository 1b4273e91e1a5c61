"""Make a checkpoint fit to be given away: small, readable weights-only, with its config inside.

Optimizer, schedule and log of the training go; weights, the names of the categories and the
resolved config as JSON stay, so that ``mmseg_instbox.apis.load_model(OUT)`` needs nothing else.
The weights are tried in the model of the config first. With ``--half`` they are stored in half
precision (but for tensors that it cannot hold) and computed with in single precision again.
``--average`` takes the mean of the weights of several checkpoints of one training, which often
predicts better than any of them (model soups, arXiv 2203.05482). ``--background-odds`` moves the
borders between background and things without a training. Prints size and SHA-256.
"""
import argparse
import hashlib
import json
import math
from pathlib import Path

import torch

from mmseg_instbox.cli.main import user_errors
from mmseg_instbox.engine import (
    check_config_is_data,
    config_to_json,
    load_model,
    read_checkpoint,
)
from mmseg_instbox.engine.hooks.plain_checkpoint_hook import to_plain
from mmseg_instbox.errors import InvalidInputError
from mmseg_instbox.utils import replacing
from mmseg_instbox.utils.foreign_errors import convert_errors

# of the machine and the run, not of the model
RUN_SETTINGS = ('work_dir', 'load_from', 'resume', 'launcher', 'experiment_name')
KEPT_META = ('epoch', 'iter', 'seed', 'mmengine_version')


def publish(args: argparse.Namespace) -> dict:
    """What is published of a training's checkpoint: ``state_dict``, and ``meta`` with all else."""
    training = read_checkpoint(args.checkpoint, args.allow_pickle).get('meta') or {}
    if args.config is None and 'config_json' not in training:
        raise InvalidInputError(f'{args.checkpoint} carries no config as JSON: give --config FILE.')
    model, *others = (
        load_model(*((args.config, file) if args.config else (file, None)), device='cpu',
                   allow_pickle=args.allow_pickle) for file in (args.checkpoint, *args.average))
    states = [each.state_dict() for each in (model, *others)]
    for name, tensor in states[0].items():
        if others and tensor.is_floating_point():
            tensor.copy_(torch.stack([state[name] for state in states]).mean(dim=0))
    scale_background_odds(model, args.background_odds)
    cfg = model.cfg
    for key in RUN_SETTINGS:
        cfg.pop(key, None)
    check_config_is_data(cfg.to_dict(), 'The config')
    meta = {key: training[key] for key in KEPT_META if key in training}
    meta.update(config_json=config_to_json(cfg), dataset_meta=to_plain(model.dataset_meta))
    if args.figures:
        with convert_errors(f'{args.figures} is no JSON', ValueError):
            meta['figures'] = json.loads(args.figures.read_text())
    if args.card:
        meta['card'] = args.card.read_text()
    weights = {name: shrink(tensor) if args.half else tensor.clone()
               for name, tensor in model.state_dict().items()}
    return dict(meta=meta, state_dict=weights)


def scale_background_odds(model: torch.nn.Module, factor: float) -> None:
    """Adds ``log(factor)`` to the background's logit, in the last bias of the decode head."""
    if factor == 1:
        return
    classes = model.dataset_meta['classes']
    if not factor > 0 or classes[0] != 'background':
        raise InvalidInputError('--background-odds needs a factor above 0 and a model whose first '
                                f'category is background; got {factor} and {classes[0]!r}.')
    *_, bias = (tensor for name, tensor in model.decode_head.state_dict().items()
                if name.endswith('bias') and len(tensor) == len(classes))
    bias[0] += math.log(factor)


def shrink(tensor: torch.Tensor) -> torch.Tensor:
    """A floating tensor in half precision; itself if its values are too large for that."""
    if not tensor.is_floating_point():
        return tensor
    small = tensor.half()
    return small if torch.equal(small.isfinite(), tensor.isfinite()) else tensor


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', help='checkpoint of a training run')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument('--config', help='config file, or name in the model index (default: the '
                        'config in the checkpoint)')
    parser.add_argument('--half', action='store_true', help='store weights in half precision')
    parser.add_argument('--average', nargs='+', default=[], metavar='CHECKPOINT',
                        help='take the mean of the weights of these as well')
    parser.add_argument('--background-odds', type=float, default=1., metavar='FACTOR',
                        help='multiply the odds of the background with this (default: %(default)s)')
    parser.add_argument('--figures', type=Path, metavar='FILE',
                        help='JSON file with figures of the model, such as metrics.json')
    parser.add_argument('--card', type=Path, metavar='FILE', help='text that describes the model')
    parser.add_argument('--allow-pickle', action='store_true',
                        help='trust the checkpoint: let it hold pickled objects, which can run '
                        'code while they are read')
    args = parser.parse_args()
    with user_errors():
        published = publish(args)
        with replacing(args.out) as temporary, temporary.open('wb') as file:
            torch.save(published, file)
    single = sum(tensor.dtype == torch.float32 for tensor in published['state_dict'].values())
    if args.half and single:
        print(f'{single} tensor(s) stay in single precision: half cannot hold their values.')
    content = args.out.read_bytes()
    print(f'{args.out}: {len(content) / 1e6:.2f} MB, '
          f'SHA-256 {hashlib.sha256(content).hexdigest()}')


if __name__ == '__main__':
    main()
