"""Predictions in Parquet files, an image a row."""
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mmseg.structures import SegDataSample

from ...deploy.predictor import prediction_dict
from .listing import BulkImage
from .storage import Storage

if TYPE_CHECKING:
    import pyarrow

FOLDER = 'parquet'
_READERS = 8  # of several shards at once, from a store that answers late


def row_of(image: BulkImage, sample: SegDataSample, thing_classes: Sequence[str]) -> dict[str, Any]:
    """The row of an image.

    Args:
        image: The image.
        sample: Its prediction, with ``pred_instances`` and ``ori_shape``.
        thing_classes: Names of the labels.

    Returns:
        dict: ``image``, ``size``, ``time``, ``height``, ``width``, and for each instance, best
        first, an entry of ``labels`` (index into ``thing_classes``), ``categories`` (their names),
        ``scores``, ``boxes`` (x1, y1, x2, y2 in pixels, right and bottom edge exclusive) and
        ``masks`` (the ``counts`` of COCO's run-length code, whose size is height and width).
    """
    found = prediction_dict(sample, thing_classes)
    return dict(
        image=image.image, size=image.size, time=image.time, height=found['height'],
        width=found['width'], labels=found['labels'], categories=found['label_names'],
        scores=found['scores'], boxes=found['bboxes'],
        masks=[mask['counts'] for mask in found['masks']])


def shard_schema(meta: dict[str, Any]) -> 'pyarrow.Schema':
    """The columns of a shard; ``meta`` (ready for JSON) becomes part of each file."""
    import pyarrow as pa
    many = pa.list_
    return pa.schema(
        [('image', pa.string()), ('size', pa.int64()), ('time', pa.int64()),
         ('height', pa.int32()), ('width', pa.int32()), ('labels', many(pa.int32())),
         ('categories', many(pa.string())), ('scores', many(pa.float32())),
         ('boxes', many(many(pa.float32(), 4))), ('masks', many(pa.string()))],
        metadata={'mmseg_instbox': json.dumps(meta)})


def write_shard(rows: Sequence[dict[str, Any]], meta: dict[str, Any], storage: Storage,
                name: str) -> None:
    """Write rows of :func:`row_of` as a file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    table, content = pa.Table.from_pylist(list(rows), shard_schema(meta)), io.BytesIO()
    pq.write_table(table, content, compression='zstd')
    storage.write(content.getvalue(), storage.inside(f'{FOLDER}/{name}'))


def list_shards(storage: Storage) -> list[str]:
    """The paths of the shards in a directory, in the order of their names."""
    return [each.path for each in storage.files(storage.inside(FOLDER))
            if each.path.endswith('.parquet') and '/.' not in each.path]


def read_shard(storage: Storage, path: str,
               columns: Sequence[str] | None = None) -> list[dict[str, Any]] | None:
    """The rows of a shard, all columns or some; None if the file is broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    try:
        with storage.filesystem.open_input_file(path) as file:
            return pq.read_table(file, columns=columns and list(columns)).to_pylist()
    except (pa.ArrowException, OSError, KeyError):  # a store that cuts off, a file of others
        return None


def read_shards(storage: Storage, paths: Sequence[str],
                columns: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]] | None]]:
    """Some columns of many shards: the path and the rows of each, in order; None if broken."""
    with ThreadPoolExecutor(_READERS) as pool:
        yield from zip(paths, pool.map(lambda path: read_shard(storage, path, columns), paths),
                       strict=True)
