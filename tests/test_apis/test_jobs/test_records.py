"""Predictions as rows of Parquet and back, without loss."""
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mmseg_instbox.apis.jobs.listing import JobInput
from mmseg_instbox.apis.jobs.records import (
    from_record,
    list_shards,
    read_shard,
    to_record,
    write_shard,
)
from mmseg_instbox.apis.jobs.storage import Storage
from mmseg_instbox.utils.run_lengths import decode_mask

IMAGE = JobInput('/data/a.jpg', 5, 7)
SHARD = '000000000-0123456789abcdef.parquet'

@pytest.mark.parametrize('number', [0, 1, 5])
def test_a_prediction_comes_back_as_it_was(number, tmp_path, random_sample, things):
    sample, storage = random_sample(number), Storage(str(tmp_path))
    write_shard([to_record(IMAGE, sample, things)], {}, storage, SHARD)
    path, = list_shards(storage)
    row, = read_shard(storage, path)
    assert (row['image'], row['size'], row['time']) == IMAGE[:3]
    back = from_record(row, name='a')
    assert back.name == 'a' and back.img_path == '/data/a.jpg' and back.ori_shape == (13, 17)
    assert torch.equal(back.pred_sem_seg.data, sample.pred_sem_seg.data)
    for key in ('labels', 'scores', 'bboxes'):
        before, after = sample.pred_instances[key], back.pred_instances[key]
        assert before.dtype == after.dtype and torch.equal(before, after)
    decoded = [decode_mask(mask) for mask in back.pred_instances.masks]
    assert np.array_equal(decoded, list(sample.pred_instances.masks.numpy()))


def test_the_category_map_can_be_left_out(random_sample, things):
    back = from_record(to_record(IMAGE, random_sample(3), things), category_map=False)
    assert 'pred_sem_seg' not in back


def test_an_instance_without_pixels_is_kept(random_sample, things):
    sample = random_sample(2)
    sample.pred_instances.masks[1] = False
    back = from_record(to_record(IMAGE, sample, things))
    assert [decode_mask(mask).any() for mask in back.pred_instances.masks] == [True, False]


def test_broken_shards_and_files_of_others_are_no_rows(tmp_path):
    """Also in a directory that is hidden, which its shards are not."""
    storage, content = Storage(str(tmp_path / '.cache' / 'out')), io.BytesIO()
    pq.write_table(pa.table(dict(x=[1])), content)
    storage.write(content.getvalue()[:-9], f'parquet/{SHARD}')
    storage.write(b'text', 'parquet/readme.txt')
    storage.write(content.getvalue(), 'parquet/mine.parquet')
    path, = list_shards(storage)
    assert read_shard(storage, path) is None


def test_frames_and_their_objects_come_back(tmp_path, random_sample, things):
    sample, storage = random_sample(3), Storage(str(tmp_path))
    sample.pred_instances.track_ids = torch.tensor([4, -1, 9])
    write_shard([to_record(IMAGE, sample, things, 7)], {}, storage, SHARD)
    row, = read_shard(storage, *list_shards(storage))
    assert row['frame'] == 7
    assert from_record(row).pred_instances.track_ids.tolist() == [4, -1, 9]
