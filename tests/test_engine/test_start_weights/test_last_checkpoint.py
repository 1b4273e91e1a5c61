import pytest
import torch
from mmengine.logging import HistoryBuffer, MMLogger

from mmseg_instbox.engine import last_checkpoint


@pytest.fixture
def save(tmp_path):
    """A function that saves a checkpoint of a name, with anything besides."""

    def write(name, **more):
        torch.save(dict(state_dict=dict(w=torch.zeros(99)), meta={}, **more), tmp_path / name)
        return tmp_path / name

    return write


def cut(file):
    file.write_bytes(file.read_bytes()[:-200])


def test_nothing_is_there(tmp_path):
    assert last_checkpoint(tmp_path) is None
    assert last_checkpoint(tmp_path / 'gone') is None


def test_the_one_that_the_run_names_comes_first(tmp_path, save):
    save('iter_9.pth')
    save('best_mIoU_iter_99.pth')
    assert save('iter_10.pth') == last_checkpoint(tmp_path)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_9.pth'))
    assert last_checkpoint(tmp_path) == tmp_path / 'iter_9.pth'
    (tmp_path / 'last_checkpoint').write_text('')  # stopped before it was written
    assert last_checkpoint(tmp_path) == tmp_path / 'iter_10.pth'


def test_a_copied_work_directory_goes_on_with_its_own(tmp_path, save):
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    named = save('iter_5.pth').rename(elsewhere / 'iter_5.pth')
    (tmp_path / 'last_checkpoint').write_text(str(named))
    assert last_checkpoint(tmp_path) == named
    own = save('iter_5.pth')
    assert last_checkpoint(tmp_path) == own


def test_broken_ones_are_set_aside_and_named(tmp_path, save, capfd):
    sound = save('iter_1.pth')
    cut(save('iter_2.pth'))
    (tmp_path / 'iter_3.pth').write_bytes(b'')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_3.pth'))
    MMLogger.get_instance('broken ones')  # writes to the stream as it is now
    assert last_checkpoint(tmp_path) == sound
    assert sorted(file.name for file in tmp_path.glob('*.broken')) == [
        'iter_2.pth.broken', 'iter_3.pth.broken']
    told = [line for line in ''.join(capfd.readouterr()).splitlines() if '.broken' in line]
    assert len(told) == 2 and 'iter_3.pth cannot be read' in told[0]


def test_a_flipped_bit_is_found(tmp_path, save):
    sound, damaged = save('iter_1.pth'), save('iter_2.pth')
    content = bytearray(damaged.read_bytes())
    weights = content.find(bytes(4 * 99))  # they are zeros
    content[weights + 50] ^= 0x40
    damaged.write_bytes(content)
    torch.load(damaged, weights_only=True)  # PyTorch reads other weights without a word
    assert last_checkpoint(tmp_path) == sound
    assert [file.name for file in tmp_path.glob('*.broken')] == ['iter_2.pth.broken']


def test_one_that_needs_pickle_is_not_broken(tmp_path, save):
    file = save('iter_2.pth', message_hub=HistoryBuffer([1.], [1]))
    assert last_checkpoint(tmp_path) == file and file.is_file()
