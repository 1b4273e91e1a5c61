import subprocess
import sys


def test_names_are_known_to_a_process_that_has_imported_nothing_else():
    code = ('from mmseg_instbox.registry import registered_names; assert '
            '{"BN", "MobileNetV2", "InstBoxSegmentor"} <= registered_names()["mmseg_instbox"]')
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)
