"""Whether an exported model says what the model says."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.box_iou import box_iou
from ..errors import BrokenExportError, ExportError
from .export_settings import ExportSettings
from .preprocessing import padded_shape
from .sessions import Session

CELLS = ((2, (4, 5)), (1, (5, 3)), (3, (3, 4)))  # batch and size of the trials, in 64 pixels
TOLERANCE = 1e-3  # of the largest number
LEAST_AGREEMENT = 0.9  # of cells that 8-bit numbers must leave in their category


def noise(settings: ExportSettings, num: int, cells: tuple[int, int]) -> Tensor:
    """Noise ``(num, 3, H, W)`` of a size that the network takes: ``cells`` times 64 pixels, or the
    next size that padding gives."""
    shape = padded_shape([64 * each for each in cells], settings)
    return torch.randn((num, 3, *shape), generator=torch.Generator().manual_seed(num))


def check_repeatable(network: nn.Module, settings: ExportSettings) -> None:
    """Raises a ValueError if the network says something else each time, as one that draws random
    numbers does."""
    inputs = noise(settings, *CELLS[0])
    for first, second in zip(network(inputs), network(inputs), strict=True):
        if not torch.allclose(first, second, rtol=0, atol=TOLERANCE * float(first.abs().max())):
            raise ExportError('The network says something else each time it sees an image, as one '
                              'that draws random numbers does (the hamburger head of SegNeXt with '
                              'rand_init=True): no exported model could be compared with it.')


def check_fidelity(session: Session, network: nn.Module, settings: ExportSettings,
                   pictures: Sequence[Tensor] | None = None) -> None:
    """Raises a ValueError if the exported model says something else than the network.

    Args:
        session: The exported model.
        network: Takes ``(N, 3, H, W)``, gives logits and boxes.
        settings: Of the model.
        pictures: Inputs by which a model of 8-bit numbers was calibrated, and is judged; without
            them the numbers must be equal, for batches and sizes of several kinds.
    """
    if pictures is not None:
        _check_agreement(session, network, pictures[:16])
        return
    for num, cells in CELLS:
        inputs = noise(settings, num, cells)
        for name, mine, its in zip(('scores', 'boxes'), network(inputs), _run(session, inputs),
                                   strict=True):
            limit = TOLERANCE * max(float(mine.abs().max()), 1)
            if its.shape != mine.shape or not float((its - mine).abs().max()) <= limit:
                raise ExportError(
                    f'The exported model gives other {name} than the network for a batch of '
                    f'{tuple(inputs.shape)}: {_difference(mine, its)}. It was not written: this '
                    'architecture cannot be exported with free sizes.')


def _run(session: Session, inputs: Tensor) -> list[Tensor]:
    """What the exported model gives; a ValueError if it does not run."""
    try:
        return [torch.from_numpy(each) for each in session(inputs.numpy())]
    except BrokenExportError as error:
        raise ExportError(f'The exported model does not run for a batch of {tuple(inputs.shape)}, '
                          'as an architecture does not whose sizes became constants. It was not '
                          f'written: this architecture cannot be exported with free sizes. {error}'
                          ) from error


def _difference(mine: Tensor, its: Tensor) -> str:
    if mine.shape != its.shape:
        return f'shape {tuple(its.shape)} instead of {tuple(mine.shape)}'
    return (f'they differ by up to {float((its - mine).abs().max()):.3g}, where the largest is '
            f'{float(mine.abs().max()):.3g}')


def _check_agreement(session: Session, network: nn.Module, pictures: Sequence[Tensor]) -> None:
    same, ious = [], []
    for inputs in pictures:
        (logits, boxes), found = network(inputs), _run(session, inputs)
        same.append((logits.argmax(1) == found[0].argmax(1)).float().mean())
        ious.append(box_iou(boxes.movedim(1, -1), found[1].movedim(1, -1)).mean())
    share, iou = (float(torch.stack(each).mean()) for each in (same, ious))
    if not share >= LEAST_AGREEMENT:
        raise ExportError(f'With 8-bit numbers only {share:.0%} of the cells of the calibration '
                          f'pictures keep their category (boxes: mean IoU {iou:.2f}); '
                          f'{LEAST_AGREEMENT:.0%} are expected. It was not written: calibrate with '
                          'more pictures, or export without --int8.')
