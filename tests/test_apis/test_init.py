import subprocess
import sys


def test_an_import_says_nothing_about_parts_that_nobody_needs():
    done = subprocess.run(
        [sys.executable, '-c', 'from mmseg_instbox.apis import InstBoxInferencer, train_on_data'],
        capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
