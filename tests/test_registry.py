import subprocess
import sys

import pytest


@pytest.mark.parametrize('name', ['BN', 'MobileNetV2', 'InstBoxSegmentor'])
def test_names_are_known_to_a_process_that_has_imported_nothing_else(name):
    code = ('from mmseg_instbox.registry import registered_names; '
            f'assert {name!r} in registered_names()["mmseg_instbox"]')
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)
