"""Compares the outputs of an exported model with those of the model."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.box_iou import box_iou
from ..errors import BrokenExportError, ExportError
from ..utils.foreign_errors import convert_errors
from .export_settings import ExportSettings, padded_shape
from .sessions import Session

# Test inputs: batch size, and height and width in units of 64 pixels.
CELLS = ((2, (4, 5)), (1, (5, 3)), (3, (3, 4)))
TOLERANCE = 1e-3  # relative to the largest value
LEAST_AGREEMENT = 0.9  # share of cells whose category int8 must keep
NOT_WRITTEN = 'Nothing was written: this architecture cannot be exported with free sizes'


def noise(settings: ExportSettings, num: int, cells: tuple[int, int]) -> Tensor:
    """Returns noise ``(num, 3, H, W)``: ``cells`` times 64 pixels, padded as the settings say."""
    shape = padded_shape([64 * each for each in cells], settings)
    return torch.randn((num, 3, *shape), generator=torch.Generator().manual_seed(num))


def check_repeatable(network: nn.Module, settings: ExportSettings) -> None:
    """Raises an ExportError if the network is not deterministic."""
    inputs = noise(settings, *CELLS[0])
    for first, second in zip(network(inputs), network(inputs), strict=True):
        if not torch.allclose(first, second, rtol=0, atol=TOLERANCE * float(first.abs().max())):
            raise ExportError('The network gives other outputs each time it sees an image, as one '
                              'that draws random numbers (the hamburger head of SegNeXt with '
                              'rand_init=True): no exported model can be compared with it.')


def check_fidelity(session: Session, network: nn.Module, settings: ExportSettings,
                   images: Sequence[Tensor] | None = None) -> None:
    """Raises an ExportError if the exported model gives other outputs than the network.

    They must be equal for several batch sizes and image sizes; those of an int8 model agree in most
    cells of its calibration inputs ``images``.
    """
    if images is not None:
        _check_agreement(session, network, images[:16])
        return
    for num, cells in CELLS:
        inputs = noise(settings, num, cells)
        for name, mine, its in zip(('scores', 'boxes'), network(inputs), _run(session, inputs),
                                   strict=True):
            problem = (f'The exported model gives other {name} than the network for a batch of '
                       f'{tuple(inputs.shape)}. {NOT_WRITTEN}')
            with convert_errors(problem, AssertionError, to=ExportError):
                torch.testing.assert_close(
                    its, mine, rtol=0, atol=TOLERANCE * max(float(mine.abs().max()), 1))


def _run(session: Session, inputs: Tensor) -> list[Tensor]:
    try:
        return [torch.from_numpy(each) for each in session(inputs.numpy())]
    except BrokenExportError as error:
        raise ExportError(f'The exported model does not run for a batch of {tuple(inputs.shape)}, '
                          f'as happens when sizes become constants. {NOT_WRITTEN}. {error}'
                          ) from error


def _check_agreement(session: Session, network: nn.Module, images: Sequence[Tensor]) -> None:
    same, ious = [], []
    for inputs in images:
        (logits, boxes), found = network(inputs), _run(session, inputs)
        same.append((logits.argmax(1) == found[0].argmax(1)).float().mean())
        ious.append(box_iou(boxes.movedim(1, -1), found[1].movedim(1, -1)).mean())
    share, iou = (float(torch.stack(each).mean()) for each in (same, ious))
    if not share >= LEAST_AGREEMENT:
        raise ExportError(f'With int8 only {share:.0%} of the cells of the calibration '
                          f'images keep their category (boxes: mean IoU {iou:.2f}); '
                          f'{LEAST_AGREEMENT:.0%} are expected. Nothing was written: calibrate '
                          'with more images, or export without --int8.')
