"""The record of a prediction: a row of a Parquet file, from which all formats are written."""
import io
import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
import torch

from ...core.instances import Instances
from ...deploy.plain_sample import PlainSample
from ...deploy.predictor import prediction_dict
from ...utils.run_lengths import decode_mask, encode_mask
from .listing import JobInput
from .storage import Storage

SHARD_FOLDER = 'parquet'
SHARD_NAME = r'(\d{9,}|video)-[0-9a-f]{16}\.parquet'  # other files are not ours
KEYS = ('image', 'size', 'time')  # of an input, in the order of JobInput
_SCHEMA = pa.schema(dict(
    image=pa.string(), size=pa.int64(), time=pa.int64(), frame=pa.int32(), height=pa.int32(),
    width=pa.int32(), labels=pa.list_(pa.int32()), categories=pa.list_(pa.string()),
    scores=pa.list_(pa.float32()), boxes=pa.list_(pa.list_(pa.float32(), 4)),
    masks=pa.list_(pa.string()), tracks=pa.list_(pa.int32()), map_labels=pa.list_(pa.int32()),
    map_masks=pa.list_(pa.string())).items())
_JSON_SCHEMA = _SCHEMA.set(  # a list of a fixed size cannot be read from JSON
    _SCHEMA.get_field_index('boxes'), pa.field('boxes', pa.list_(pa.list_(pa.float32()))))


def to_record(image: JobInput, sample: Any, thing_classes: Sequence[str],
              frame: int | None = None) -> dict[str, Any]:
    """Turns the prediction on an image, or on a frame of a video, from 0 on, into a row.

    Returns:
        dict: ``image``, ``size``, ``time``, ``frame``, ``height``, ``width``; for each instance,
        best first, an entry of ``labels`` (index into ``thing_classes``), ``categories`` (their
        names), ``scores``, ``boxes`` (x1, y1, x2, y2 in pixels, right and bottom edge exclusive),
        ``masks`` (``counts`` of COCO's run lengths, whose size is height and width) and, in a
        video, ``tracks`` (object, -1 if unknown); and for each category in the category map
        ``map_labels`` (index into ``classes``) and ``map_masks`` (``counts`` of its pixels).
    """
    found = prediction_dict(sample, thing_classes)
    category_map = sample.pred_sem_seg.data[0].numpy()
    present = np.flatnonzero(np.bincount(category_map.ravel())).tolist()
    return dict(
        image=image.image, size=image.size, time=image.time, frame=frame, height=found['height'],
        width=found['width'], labels=found['labels'], categories=found['label_names'],
        scores=found['scores'], boxes=found['bboxes'],
        masks=[mask['counts'] for mask in found['masks']],
        tracks=np.asarray(getattr(sample.pred_instances, 'track_ids', ())).tolist(),
        map_labels=present,
        map_masks=[encode_mask(category_map == label)['counts'] for label in present])


def from_record(row: dict[str, Any], category_map: bool = True,
                **metainfo: Any) -> PlainSample:
    """Turns a row of :func:`to_record` back into a prediction, whose masks stay run lengths, with
    ``pred_sem_seg`` if ``category_map``; ``metainfo`` is added to ``img_path`` and ``ori_shape``.
    """
    shape = (row['height'], row['width'])
    tracks = dict(track_ids=torch.tensor(row['tracks'])) if row.get('tracks') else {}
    instances = Instances(
        masks=[dict(size=list(shape), counts=counts) for counts in row['masks']],
        labels=torch.tensor(row['labels'], dtype=torch.int64),
        scores=torch.tensor(row['scores'], dtype=torch.float32),
        bboxes=torch.tensor(row['boxes'], dtype=torch.float32).reshape(-1, 4),
        **tracks)
    sample = PlainSample(dict(img_path=row['image'], ori_shape=shape, pred_instances=instances),
                         **metainfo)
    if category_map:
        values = np.zeros(shape, np.int64)
        for label, counts in zip(row['map_labels'], row['map_masks'], strict=True):
            values[decode_mask(dict(size=list(shape), counts=counts))] = label
        sample['pred_sem_seg'] = PlainSample(data=torch.from_numpy(values)[None])
    return sample


def write_shard(rows: Sequence[dict[str, Any]], meta: dict[str, Any], storage: Storage,
                name: str) -> None:
    """Writes rows as a file, whole or not at all; ``meta`` (ready for JSON) becomes part of it."""
    # by way of JSON, because pandas is imported when a table is made of Python's objects
    lines = '\n'.join(map(json.dumps, rows)).encode()
    options = pyarrow.json.ReadOptions(block_size=max(len(lines), 1))
    schema = pyarrow.json.ParseOptions(explicit_schema=_JSON_SCHEMA)
    table = pyarrow.json.read_json(io.BytesIO(lines), options, schema).cast(
        _SCHEMA.with_metadata({'mmseg_instbox': json.dumps(meta)}))
    content = io.BytesIO()
    pq.write_table(table, content, compression='zstd')
    storage.write(content.getvalue(), f'{SHARD_FOLDER}/{name}')


def list_shards(storage: Storage) -> list[str]:
    """Returns the names of the shards in a directory, in order."""
    return [file.name for file in storage.files(SHARD_FOLDER)
            if re.fullmatch(SHARD_NAME, PurePosixPath(file.name).name)]


def read_shard(storage: Storage, name: str,
               columns: Sequence[str] | None = None) -> list[dict[str, Any]] | None:
    """Returns the rows of a shard, all columns or some; None if the file is incomplete."""
    try:
        with storage.filesystem.open(name, 'rb') as file:
            # read_table would import pandas
            return pq.ParquetFile(file).read(columns and list(columns)).to_pylist()
    except (pa.ArrowException, OSError):  # incomplete
        return None
