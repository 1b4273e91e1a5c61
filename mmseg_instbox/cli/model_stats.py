"""Parameters, FLOPs and memory of a model, and the box head's share of them.

A model is built from its config, without weights, and sees one image of random pixels on the CPU,
on one thread. What is measured is what a prediction runs before grouping: backbone, neck, decode
head and, where there is one, the box head; auxiliary heads are left out. A multiplication with its
addition counts as one FLOP; operations that MMEngine has no count for (activations, sums, pooling,
the decoding of boxes) do not count. Memory is by how much the process grows from before the model
is built to the peak of its first pass, parameters included, as Linux tells it.
"""
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.config import Config
from mmseg.models.segmentors import BaseSegmentor

from ..engine import build_network
from ..errors import InvalidInputError

STATUS = Path('/proc/self/status')


def build_model(cfg: Config) -> BaseSegmentor:
    """The untrained model of a config without its auxiliary heads, in eval mode; a call with images
    ``(N, 3, H, W)`` gives logits and boxes on their grids. InvalidInputError for other models than
    segmentors."""
    cfg.get('model', {}).pop('auxiliary_head', None)
    model = build_network(cfg)
    if not isinstance(model, BaseSegmentor):
        raise InvalidInputError(f'{cfg.filename or "The config"} has no model of mmseg: give the '
                                'config of a segmentor.')
    model.forward = getattr(model, 'forward_dense', partial(model.forward, mode='tensor'))
    return model.eval()


def measure(cfg: Config, shape: Sequence[int]) -> dict:
    """The figures of a model on an image of a ``shape`` (H, W); called first in a process.

    Returns:
        dict: ``parameters``, ``flops``, ``memory`` (bytes; None off Linux);
        ``box_head``: its ``parameters`` and ``flops``, or None; ``not_counted``: how often which
        operation.
    """
    before = _memory('VmRSS')
    model, image = build_model(cfg), torch.randn(1, 3, *shape)
    with torch.no_grad():
        model(image)
    memory = None if before is None else _memory('VmHWM') - before
    flops = FlopAnalyzer(model, image).unsupported_ops_warnings(False)
    flops.uncalled_modules_warnings(False).tracer_warnings('none')
    counts = parameter_count(model)
    box_head = None
    if 'box_head' in counts:
        box_head = dict(parameters=counts['box_head'], flops=flops.by_module()['box_head'])
    return dict(parameters=counts[''], flops=flops.total(), memory=memory,
                box_head=box_head, not_counted=dict(flops.unsupported_ops()))


def _memory(field: str) -> int | None:
    """Resident memory of this process in bytes, ``VmRSS`` now or ``VmHWM`` at its peak.

    (``resource.getrusage`` would count in what the parent process held when it started this one.)
    """
    if not STATUS.is_file():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f'{field}:'))
    return int(line.split()[1]) * 1024
