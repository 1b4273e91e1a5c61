"""Parameters, FLOPs and memory of models, and the box head's share of them.

Each model is built from its config, in a process of its own, without weights, and sees one image of
random pixels on the CPU, on one thread. What is measured is what a prediction runs before grouping:
backbone, neck, decode head and, where there is one, the box head; auxiliary heads are left out. A
multiplication with its addition counts as one FLOP; operations that MMEngine has no count for
(activations, sums, pooling, the decoding of boxes) do not count. Memory is by how much the process
grows from before the model is built to the peak of its first pass, parameters included, as Linux
tells it; elsewhere there is none.
"""
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from prettytable import PrettyTable

from ...engine.config_io import load_config
from ...errors import InvalidInputError
from ...utils.foreign_errors import convert_errors
from ..startup import load_package
from .arguments import quiet_and_single

STATUS = Path('/proc/self/status')
# from this size on the C library gives back at once what was freed: the peak is what lives
GIVE_BACK = 'MALLOC_MMAP_THRESHOLD_', '65536'


def build_model(name: str) -> BaseSegmentor:
    """The untrained model of a config without its auxiliary heads, in eval mode.

    A call with images ``(N, 3, H, W)`` gives logits and boxes on their grids.

    Args:
        name: Path of a config, or its name in an installed package (``mmseg::...``).

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: Its model is no segmentor.
    """
    is_path = '::' not in name
    cfg = load_config(name) if is_path else Config.fromstring(f'_base_ = {name!r}', '.py')
    cfg = cfg.get('model', {})
    cfg.pop('auxiliary_head', None)
    init_default_scope('mmseg')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        with convert_errors(f'{name} has a model that cannot be built', KeyError, TypeError):
            model = MODELS.build(cfg) if cfg else None
    if not isinstance(model, BaseSegmentor):
        raise InvalidInputError(f'{name} has no model of mmseg: give the config of a segmentor.')
    model.forward = getattr(model, 'forward_dense', partial(model.forward, mode='tensor'))
    return model.eval()


def memory_bytes(field: str) -> int | None:
    """Resident memory of this process, ``VmRSS`` now or ``VmHWM`` at its peak; None off Linux.

    (``resource.getrusage`` would count in what the parent process held when it started this one.)
    """
    if not STATUS.is_file():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f'{field}:'))
    return int(line.split()[1]) * 1024


def measure(name: str, shape: Sequence[int]) -> dict:
    """The figures of one model; to be called first thing in a process.

    Args:
        name: The config, as of :func:`build_model`, which raises the same errors.
        shape: ``(H, W)`` of the image.

    Returns:
        dict: ``parameters``, ``flops``, ``memory`` (bytes or None); ``box_head``: its
            ``parameters`` and ``flops``, or None; ``not_counted``: how often which operation.
    """
    load_package()  # its memory is not the model's
    quiet_and_single()
    before = memory_bytes('VmRSS')
    model, image = build_model(name), torch.randn(1, 3, *shape)
    with torch.no_grad():
        model(image)
    memory = None if before is None else memory_bytes('VmHWM') - before
    flops = FlopAnalyzer(model, image).unsupported_ops_warnings(False)
    flops.uncalled_modules_warnings(False).tracer_warnings('all')
    box_head = getattr(model, 'box_head', None)
    parameters, head_parameters = (
        module and sum(parameter.numel() for parameter in module.parameters())
        for module in (model, box_head))
    box_stats = box_head and dict(parameters=head_parameters,
                                  flops=flops.by_module()['box_head'])
    return dict(config=name, parameters=parameters, flops=flops.total(), memory=memory,
                box_head=box_stats, not_counted=dict(flops.unsupported_ops()))


def measure_apart(name: str, shape: Sequence[int]) -> dict:
    """:func:`measure` in a process of its own, so that the memory of models does not add up."""
    os.environ.setdefault(*GIVE_BACK)  # the new process inherits it
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(measure, name, shape).result()


def format_rows(rows: Sequence[dict]) -> str:
    """A table with a line for each model."""
    table = PrettyTable(['config', 'parameters', 'box head: parameters', 'FLOPs',
                         'box head: FLOPs', 'memory'])
    table.align['config'] = 'l'
    for row in rows:
        shares = ['-' if row['box_head'] is None else f'{row["box_head"][key] / row[key]:.1%}'
                  for key in ('parameters', 'flops')]
        memory = '-' if row['memory'] is None else f'{row["memory"] / 2**20:.0f} MiB'
        table.add_row([Path(row['config'].split('::')[-1]).stem, f'{row["parameters"] / 1e6:.2f} M',
                       shares[0], f'{row["flops"] / 1e9:.1f} G', shares[1], memory])
    return table.get_string()
