"""A network whose boxes are known at every point of an image, for the tests of inference."""
import torch
from torch import Tensor, nn

from mmseg_instbox.core.dense_prediction import DensePredictor
from mmseg_instbox.core.feature_grid import cell_points


class BoxField:
    """A network that reads from the picture where it is, and says what box belongs there.

    In its pictures (see :meth:`picture`) every pixel tells its own place, so a cell knows the point
    of the original image that it looks at, however the picture was moved, scaled or mirrored. The
    box of a point p is linear in p; logits are p itself.

    Args:
        stride: Feature stride.
        slope: How the box moves with the point: x1, y1, x2, y2 per pixel.
        logit_stride: Feature stride of the logits.
    """

    base = torch.tensor([-30., -20, 45, 25])

    def __init__(self, stride: int = 8, slope: float = 1.0, logit_stride: int | None = None):
        self.stride, self.logit_stride = stride, logit_stride or stride
        self.slope = torch.tensor([0.5, -0.25, 1, 0.75]) * slope
        self.seen = []

    @staticmethod
    def picture(height: int, width: int, ori_shape: tuple[int, int] | None = None) -> Tensor:
        """``(3, H, W)``: x and y of each pixel in the original image, and ones."""
        places = cell_points((height, width), ori_shape or (height, width)).permute(2, 0, 1)
        return torch.cat([places, torch.ones(1, height, width)])

    def boxes_at(self, points: Tensor) -> Tensor:
        """``(4, h, w)`` boxes, in the original image, of points ``(h, w, 2)``."""
        places = torch.cat([points, points], dim=-1)
        return (places * self.slope + self.base).permute(2, 0, 1)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits x, y, 0, 0 and boxes in pixels of ``inputs``."""
        self.seen.append(tuple(inputs.shape))
        logits = nn.functional.avg_pool2d(inputs, self.logit_stride)
        logits = torch.cat([logits[:, :2], torch.zeros_like(logits[:, :2])], dim=1)
        return logits, torch.stack([self._boxes(image) for image in inputs])

    def _boxes(self, image: Tensor) -> Tensor:
        pooled = nn.functional.avg_pool2d(image[None], self.stride)[0]
        sees = pooled[:2].permute(1, 2, 0)
        stands = cell_points(pooled.shape[1:], image.shape[1:])
        whole = pooled[2] > 0.9999
        if not whole.any():
            return torch.zeros(4, *pooled.shape[1:])
        y, x = whole.nonzero().T
        (y0, y1), (x0, x1) = (_without_ends(*v.aminmax()) for v in (y, x))
        # image to input along each axis, from two cells: input = factor * image + offset
        factor = (stands[y1, x1] - stands[y0, x0]) / (sees[y1, x1] - sees[y0, x0])
        offset = stands[y0, x0] - factor * sees[y0, x0]
        corners = self.boxes_at(sees) * factor.repeat(2)[:, None, None]
        corners = corners + offset.repeat(2)[:, None, None]
        return torch.cat([torch.minimum(corners[:2], corners[2:]),
                          torch.maximum(corners[:2], corners[2:])])


def _without_ends(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """A range of cells without the first and last, where replicated pixels may be."""
    return (low + 1, high - 1) if high - low > 2 else (low, high)


class FieldPredictor(DensePredictor):
    """Predicts with a :class:`BoxField`."""

    def __init__(self, test_cfg: dict | None = None, **field) -> None:
        self.test_cfg = test_cfg or dict(mode='whole')
        self.forward_dense = self.field = BoxField(**field)


def inner_cells(points: Tensor, img_shape: tuple[int, int], margin: float) -> Tensor:
    """Which points ``(h, w, 2)`` lie at least ``margin`` pixels inside the image."""
    size = points.new_tensor(img_shape[::-1])
    return ((points >= margin) & (points <= size - margin)).all(dim=-1)
