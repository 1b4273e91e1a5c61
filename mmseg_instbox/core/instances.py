"""Instances of an image: from groups of cells to masks, labels and scores."""
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .painting import mask_boxes, masks_of, paint, present_ids


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


class Instances:
    """N instances of an image: fields with an entry for each, such as ``masks`` and ``scores``.

    What MMEngine's ``InstanceData`` is to MMSegmentation, without MMEngine.

    Args:
        metainfo: Facts about all of them together; each entry becomes an attribute.
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
    """Masks of the instances that have pixels, best score first.

    Args:
        groups: K instances on the feature grid.
        seg_map: ``(H, W)`` int64 category of each pixel.
        thing_ids: ``(T,)`` indices of the thing categories.
        extent: ``(H', W')`` image pixels that the grid covers.
        max_mask_bytes: Memory that the masks may take.

    Returns:
        Instances: As of a call of :class:`~mmseg_instbox.core.base_grouper.BaseGrouper`.
    """
    num = len(groups.scores)
    order = groups.scores.sort(descending=True, stable=True).indices
    rank = torch.cat([order.argsort(), order.new_tensor([-1])])
    categories = groups.categories[order]
    instance = paint(rank[groups.owners], categories, seg_map, extent)
    seen = present_ids(instance, num)
    kept = seen if max_mask_bytes is None else seen[:max_mask_bytes // instance.numel()]
    masks = masks_of(instance, kept, num)
    order, categories = order[kept], categories[kept]
    thing_ids = torch.as_tensor(thing_ids, device=order.device)
    return Instances(
        metainfo=dict(num_invalid=groups.num_invalid, num_left_out=len(seen) - len(kept)),
        masks=masks,
        labels=(categories[:, None] == thing_ids[None]).long().argmax(dim=1),
        scores=groups.scores[order],
        label_scores=groups.label_scores[order],
        bboxes=mask_boxes(masks))
