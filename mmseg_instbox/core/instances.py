"""Instances of an image: from groups of cells to masks, labels and scores."""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from .painting import paint

aten = torch.ops.aten


class CellGroups(NamedTuple):
    """K instances on the feature grid, each of which owns a cell.

    ``owners`` (h, w) int64 instance of each cell or -1; ``categories`` (K,) int64 index among all
    categories; ``scores`` (K,); ``label_scores`` (K, T) score of each thing category;
    ``num_invalid`` how many cells were left out because their probabilities or their boxes are not
    sound.
    """
    owners: Tensor
    categories: Tensor
    scores: Tensor
    label_scores: Tensor
    num_invalid: int


class InstanceMasks(Tensor):
    """Masks ``(K, H, W)`` bool of instances that do not overlap, kept as one map of the image.

    A tensor like any other, whose planes are made when something reads or writes their pixels; the
    map is given up then. Some of the instances, ``masks[index]``, and copies on another device are
    taken of the map; an index thus gives a copy where that of a plain tensor may give a view.

    Args:
        inst_map: ``(H, W)`` of whole numbers from 0 on.
        numbers: ``(K,)`` int64, the number of each instance in the map.
        boxes: ``(K, 4)`` int64 boxes of the instances; they are looked up by default.

    Attributes:
        inst_map: The map, None once the planes are made.
        numbers: As given.
        boxes: ``(K, 4)`` int64 x1, y1, x2, y2, right and bottom exclusive; zeros without pixels.
    """
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inst_map: Tensor, numbers: Tensor,
                boxes: Tensor | None = None) -> 'InstanceMasks':
        masks = torch.Tensor._make_wrapper_subclass(
            cls, (len(numbers), *inst_map.shape), dtype=torch.bool, device=inst_map.device)
        masks.inst_map, masks.numbers, masks._planes = inst_map, numbers, None
        masks.boxes = find_boxes(inst_map, numbers) if boxes is None else boxes
        return masks

    @property
    def planes(self) -> Tensor:
        """The masks as a plain tensor."""
        if self._planes is None:
            numbers = self.numbers.to(self.inst_map.dtype)
            self._planes, self.inst_map = self.inst_map == numbers[:, None, None], None
        return self._planes

    def __getitem__(self, index: Any) -> Tensor:
        some = isinstance(index, slice) or getattr(index, 'ndim', 0) == 1
        if self.inst_map is None or not some:
            return self.planes[index]
        return InstanceMasks(self.inst_map, self.numbers[index], self.boxes[index])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (),
                           kwargs: dict | None = None) -> Any:
        """Runs an operation on the planes, but copies and detaches the map."""
        kwargs, masks = kwargs or {}, args[0]
        kept = func is aten.detach.default or (
            func is aten._to_copy.default and kwargs.get('dtype') in (None, torch.bool))
        if kept and masks.inst_map is not None:
            device = kwargs.get('device') or masks.device
            return cls(*(each.to(device) for each in (masks.inst_map, masks.numbers, masks.boxes)))
        args, kwargs = tree_map(lambda each: each.planes if isinstance(each, cls) else each,
                                (args, kwargs))
        return func(*args, **kwargs)

    def numpy(self, **kwargs: Any) -> np.ndarray:
        """The planes as an array."""
        return self.planes.numpy(**kwargs)

    def tolist(self) -> list:
        """The planes as lists."""
        return self.planes.tolist()

    def __repr__(self, **_: Any) -> str:
        return f'InstanceMasks(shape={tuple(self.shape)}, device={self.device})'

    def __deepcopy__(self, memo: dict) -> Tensor:
        return self[:].clone() if self.inst_map is None else self[:]

    def __reduce_ex__(self, protocol: int) -> tuple:
        if self.inst_map is None:
            return self.planes.__reduce_ex__(protocol)
        return InstanceMasks, (self.inst_map, self.numbers, self.boxes)


def find_boxes(inst_map: Tensor, numbers: Tensor) -> Tensor:
    """Boxes ``(K, 4)`` int64 of the ``numbers`` ``(K,)`` in a map ``(H, W)`` of whole numbers from
    0 on, zeros for those that it does not hold; in one pass, whatever their number."""
    width = inst_map.shape[1]
    last = torch.ones(inst_map.shape, dtype=torch.bool, device=inst_map.device)
    torch.ne(inst_map[:, 1:], inst_map[:, :-1], out=last[:, :-1])
    end = last.flatten().nonzero()[:, 0]  # the last pixel of each run of equal ones in a row
    value = inst_map.flatten()[end].long()
    y, right = end // width, end % width + 1
    left = torch.where(y[1:] == y[:-1], right[:-1], 0)
    left = torch.cat([left.new_zeros(min(len(end), 1)), left])
    size = int(torch.cat([value, numbers, value.new_zeros(1)]).max()) + 1
    boxes = value.new_zeros(size, 4)
    index = value[:, None].expand(-1, 2)
    boxes[:, :2].scatter_reduce_(0, index, torch.stack([left, y], 1), 'amin', include_self=False)
    boxes[:, 2:].scatter_reduce_(0, index, torch.stack([right, y + 1], 1), 'amax')
    return boxes[numbers]


class Instances:
    """N instances of an image: fields with an entry for each, such as ``masks`` and ``scores``.

    What MMEngine's ``InstanceData`` is to MMSegmentation, without MMEngine.

    Args:
        metainfo: What holds for all of them together; each entry becomes an attribute.
        **fields: Tensors ``(N, ...)``; each becomes an attribute.
    """

    def __init__(self, metainfo: dict[str, Any] | None = None, **fields: Tensor) -> None:
        self.metainfo = dict(metainfo or {})
        self.fields = fields
        self.__dict__.update(self.metainfo | fields)

    def __len__(self) -> int:
        return len(next(iter(self.fields.values()), ()))

    def __getitem__(self, index: Tensor | slice | str) -> Any:
        """A field by its name; or the instances at an index, bool ``(N,)``, int64 ``(K,)`` or a
        slice, as ``Instances``."""
        if isinstance(index, str):
            return self.fields[index]
        return Instances(self.metainfo, **{key: each[index] for key, each in self.fields.items()})

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def to_dict(self) -> dict[str, Any]:
        """Fields and metainfo by name."""
        return self.metainfo | self.fields


def draw_instances(groups: CellGroups, seg_map: Tensor, thing_ids: Sequence[int] | Tensor,
                   extent: tuple[float, float], max_mask_bytes: int | None = None) -> Instances:
    """Masks of the groups that have pixels, best score first; result and further arguments as of a
    call of :class:`~mmseg_instbox.core.base_grouper.BaseGrouper`, which draws them by this."""
    order = groups.scores.sort(descending=True, stable=True).indices
    rank = torch.cat([order.argsort(), order.new_tensor([-1])])
    categories = groups.categories[order]
    inst_map = paint(rank[groups.owners], categories, seg_map, extent)
    boxes = find_boxes(inst_map, torch.arange(len(order), device=order.device))
    seen = boxes.any(dim=1).nonzero()[:, 0]
    kept = seen if max_mask_bytes is None else seen[:max_mask_bytes // inst_map.numel()]
    boxes, order, categories = boxes[kept], order[kept], categories[kept]
    thing_ids = torch.as_tensor(thing_ids, device=order.device)
    return Instances(
        metainfo=dict(num_invalid=groups.num_invalid, num_left_out=len(seen) - len(kept)),
        masks=InstanceMasks(inst_map, kept, boxes),
        labels=(categories[:, None] == thing_ids[None]).long().argmax(dim=1),
        scores=groups.scores[order],
        label_scores=groups.label_scores[order],
        bboxes=boxes.float())
