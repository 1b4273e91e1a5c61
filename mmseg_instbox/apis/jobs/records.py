"""The record of a prediction: a row of a Parquet file, from which all formats are written."""
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from ...deploy.predictor import prediction_dict
from ...utils.run_lengths import decode_mask, encode_mask
from .listing import JobInput
from .storage import Storage

FOLDER = 'parquet'
KEYS = ('image', 'size', 'time')
_READERS = 8  # shards that are read at once, for stores with high latency
_COLUMNS = dict(
    image=pa.string(), size=pa.int64(), time=pa.int64(), height=pa.int32(), width=pa.int32(),
    labels=pa.list_(pa.int32()), categories=pa.list_(pa.string()), scores=pa.list_(pa.float32()),
    boxes=pa.list_(pa.list_(pa.float32(), 4)), masks=pa.list_(pa.string()),
    map_labels=pa.list_(pa.int32()), map_masks=pa.list_(pa.string()))


def to_record(image: JobInput, sample: SegDataSample | None = None,
              thing_classes: Sequence[str] = ()) -> dict[str, Any]:
    """Turns a prediction into a row.

    Args:
        image: The image, or a video.
        sample: Its prediction, with ``pred_instances``, ``pred_sem_seg`` and ``ori_shape``; None
            for a video, whose row only says that it is done.
        thing_classes: Names of the labels.

    Returns:
        dict: ``image``, ``size``, ``time``, ``height``, ``width``; for each instance, best first,
        an entry of ``labels`` (index into ``thing_classes``), ``categories`` (their names),
        ``scores``, ``boxes`` (x1, y1, x2, y2 in pixels, right and bottom edge exclusive) and
        ``masks`` (``counts`` of COCO's run lengths, whose size is height and width); and for each
        category in the category map ``map_labels`` (index into ``classes``) and ``map_masks``
        (``counts`` of its pixels).
    """
    row: dict[str, Any] = dict.fromkeys(_COLUMNS, ()) | image._asdict()
    row = {key: row[key] for key in _COLUMNS} | dict(height=0, width=0)
    if sample is None:
        return row
    found = prediction_dict(sample, thing_classes)
    category_map = sample.pred_sem_seg.data[0].numpy()
    present = np.unique(category_map).tolist()
    return row | dict(
        height=found['height'], width=found['width'], labels=found['labels'],
        categories=found['label_names'], scores=found['scores'], boxes=found['bboxes'],
        masks=[mask['counts'] for mask in found['masks']], map_labels=present,
        map_masks=[encode_mask(category_map == label)['counts'] for label in present])


def from_record(row: dict[str, Any], category_map: bool = True, decode: bool = True,
                **metainfo: Any) -> SegDataSample:
    """Turns a row of :func:`to_record` back into a prediction, on the CPU.

    Args:
        row: The row.
        category_map: Whether to restore ``pred_sem_seg``.
        decode: Whether masks become ``(N, H, W)`` bool; else they stay a list of run lengths.
        **metainfo: Added to the sample, beside ``img_path`` and ``ori_shape``.
    """
    shape = (row['height'], row['width'])
    sample = SegDataSample(metainfo=dict(img_path=row['image'], ori_shape=shape) | metainfo)
    masks: Any = [_code(counts, shape) for counts in row['masks']]
    if decode:
        decoded = np.zeros((len(masks), *shape), bool)
        for target, code in zip(decoded, masks, strict=True):
            target[:] = decode_mask(code)
        masks = torch.from_numpy(decoded)
    sample.pred_instances = InstanceData(
        masks=masks, labels=torch.tensor(row['labels'], dtype=torch.int64),
        scores=torch.tensor(row['scores'], dtype=torch.float32),
        bboxes=torch.tensor(row['boxes'], dtype=torch.float32).reshape(-1, 4))
    if category_map:
        values = np.zeros(shape, np.int64)
        for label, counts in zip(row['map_labels'], row['map_masks'], strict=True):
            values[decode_mask(_code(counts, shape))] = label
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(values)[None])
    return sample


def _code(counts: str, shape: tuple[int, int]) -> dict[str, Any]:
    return dict(size=list(shape), counts=counts)


def write_shard(rows: Sequence[dict[str, Any]], meta: dict[str, Any], storage: Storage,
                name: str) -> None:
    """Writes rows as a file, whole or not at all; ``meta`` (ready for JSON) becomes part of it."""
    schema = pa.schema(list(_COLUMNS.items()), metadata={'mmseg_instbox': json.dumps(meta)})
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema), content, compression='zstd')
    storage.write(content.getvalue(), storage.inside(f'{FOLDER}/{name}'))


def list_shards(storage: Storage) -> list[str]:
    """Returns the paths of the shards in a directory, in the order of their names."""
    return [file.path for file in storage.files(storage.inside(FOLDER))
            if file.path.endswith('.parquet') and '/.' not in file.path]


def read_shard(storage: Storage, path: str,
               columns: Sequence[str] | None = None) -> list[dict[str, Any]] | None:
    """Returns the rows of a shard, all columns or some; None if the file is broken."""
    try:
        with storage.filesystem.open(path, 'rb') as file:
            return pq.read_table(file, columns=columns and list(columns)).to_pylist()
    except (pa.ArrowException, OSError, KeyError):  # incomplete, or not written by this package
        return None


def read_shards(storage: Storage, paths: Sequence[str],
                columns: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]] | None]]:
    """Yields the path and some columns of each shard, in order; None for a broken one."""
    with ThreadPoolExecutor(_READERS) as pool:
        yield from zip(paths, pool.map(lambda path: read_shard(storage, path, columns), paths),
                       strict=True)
