"""What holds for the writers of all formats."""
import gc
import json
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest

from mmseg_instbox.apis.formats import FORMATS, file_name, write_results

ALL = pytest.mark.parametrize('kind', FORMATS)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


@ALL
def test_no_masks_are_remembered(kind, tmp_path, sample, meta):
    writer = FORMATS[kind](tmp_path / 'out', meta)
    gone = weakref.ref(sample.pred_instances.masks)
    writer.add(sample, 'scene')
    size = len(pickle.dumps({key: value for key, value in vars(writer).items()
                             if not hasattr(value, 'fileno')}))
    sample.pop('pred_instances')
    gc.collect()
    assert gone() is None and size < 60 * 80 / 2


@ALL
@pytest.mark.parametrize('name', ['../x', '..', '/etc/x', 'a/b', 'a\\b', '', 'C:x', 'a\nb'])
def test_no_name_leads_out_of_the_folder(kind, name, tmp_path, sample, meta):
    folder = tmp_path / 'deep' / 'out'
    with FORMATS[kind](folder, meta) as writer:
        writer.add(sample, name)
    assert files(tmp_path) and all(each.startswith('deep/out/') for each in files(tmp_path))


def test_safe_names_stay_as_they_are():
    for name in ('scene', 'a b', 'Zürich 東京', 'x.tar', '2008_000123'):
        assert file_name(name) == name


@ALL
@pytest.mark.parametrize('name', ['a picture', 'Zürich 東京', 'x.tar'])
def test_any_other_name_is_kept(kind, name, tmp_path, sample, meta):
    with FORMATS[kind](tmp_path, meta) as writer:
        writer.add(sample, name)
    found = files(tmp_path)
    assert kind == 'coco' or any(f'{name}.' in each for each in found)


@ALL
def test_two_images_of_one_name_are_refused(kind, tmp_path, sample, meta):
    with FORMATS[kind](tmp_path, meta) as writer:
        writer.add(sample, 'a/b:c')
        with pytest.raises(ValueError, match='a/b_c: two images of this name'):
            writer.add(sample, 'a/b_c')
        writer.add(sample, 'a_b_c')


@ALL
def test_names_keep_their_folders(kind, tmp_path, sample, meta):
    """So that labels lie as the images do."""
    with FORMATS[kind](tmp_path, meta) as writer:
        for folder in ('d1', 'd2'):
            writer.add(sample, f'{folder}/1', f'/photos/{folder}/1.jpg')
    found = files(tmp_path)
    assert kind == 'coco' or sum('d1/1.' in each for each in found) == sum(
        'd2/1.' in each for each in found) > 0
    if kind == 'labelme':
        content = json.loads((tmp_path / 'd2' / '1.json').read_text())
        assert (tmp_path / 'd2' / content['imagePath']).resolve() == Path('/photos/d2/1.jpg')


@ALL
def test_an_error_leaves_no_file_that_looks_finished(kind, tmp_path, sample, meta):
    with pytest.raises(KeyboardInterrupt), FORMATS[kind](tmp_path, meta) as writer:
        writer.add(sample, 'scene')
        raise KeyboardInterrupt
    closing = {'annotations.json', 'ImageSets/Segmentation/predicted.txt', 'data.yaml',
               'panoptic.json'}
    assert not closing & set(files(tmp_path))


@ALL
def test_after_close_nothing_is_added(kind, tmp_path, sample, meta):
    writer = FORMATS[kind](tmp_path / 'out', meta)
    path = writer.close()
    assert path.exists() and writer.close() == path
    with pytest.raises(ValueError, match='finished with close'):
        writer.add(sample, 'scene')


@ALL
def test_an_image_without_instances(kind, tmp_path, make_sample, meta):
    with FORMATS[kind](tmp_path, meta) as writer:
        writer.add(make_sample(np.zeros((0, 4, 6)), [], []), 'empty')
    assert files(tmp_path)


@ALL
def test_a_folder_that_is_a_file(kind, tmp_path, meta):
    (tmp_path / 'out').write_text('')
    with pytest.raises(ValueError, match='out is a file'):
        FORMATS[kind](tmp_path / 'out', meta)


@ALL
@pytest.mark.parametrize('change, text', [
    (dict(classes=None), "'classes' and 'thing_classes' are needed"),
    (dict(thing_classes=('dog', 'cow')), 'each thing must be one of'),
    (dict(classes=('cat', 'dog', 'cat')), 'each class must appear once')])
def test_metainfo_without_the_categories(kind, change, text, tmp_path, meta):
    with pytest.raises(ValueError, match=text):
        FORMATS[kind](tmp_path, meta | change)


@ALL
def test_samples_that_do_not_fit(kind, tmp_path, sample, make_sample, masks, meta):
    writer = FORMATS[kind](tmp_path, meta)
    with pytest.raises(ValueError, match='instance of label 2, but there are 2 thing_classes'):
        writer.add(make_sample(masks[:1], [2], [.5], sample.pred_sem_seg.data[0].numpy()), 'x')
    sample.pop('pred_instances')
    with pytest.raises(ValueError, match='scene has no pred_instances'):
        writer.add(sample, 'x')


@ALL
def test_one_call_writes_all(kind, tmp_path, sample, make_sample, masks, meta):
    sample.set_metainfo(dict(img_path=str(tmp_path / 'scene.jpg')))
    samples = [sample, make_sample(masks[:1], [0], [.5], name='000001', img_path=None)]
    path = write_results(iter(samples), kind, tmp_path / 'one', meta, score_thr=.4)
    with FORMATS[kind](tmp_path / 'two', meta, score_thr=.4) as writer:
        writer.add(samples[0], 'scene', str(tmp_path / 'scene.jpg'))
        writer.add(samples[1], '000001')
    assert path == tmp_path / 'one' / writer.close().relative_to(tmp_path / 'two')
    assert files(tmp_path / 'one') == files(tmp_path / 'two')
    for file in files(tmp_path / 'one'):
        assert (tmp_path / 'one' / file).read_bytes() == (tmp_path / 'two' / file).read_bytes()


def test_an_unknown_format(tmp_path, meta):
    with pytest.raises(ValueError, match="no format 'labelmee'; did you mean 'labelme': choose"):
        write_results([], 'labelmee', tmp_path, meta)
    with pytest.raises(ValueError, match="no format 'xyz': choose one of coco, png"):
        write_results([], 'xyz', tmp_path, meta)
