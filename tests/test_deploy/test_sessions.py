"""What a process that runs exported models goes through."""
import os
import signal
import subprocess
import sys

import pytest

CODE = """
import faulthandler, signal, subprocess, sys, threading
from mmseg_instbox.deploy.sessions import Session
faulthandler.enable()  # from here on signals have a stack of their own
held = [Session(sys.argv[1])]
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
signal.signal(signal.SIGCHLD, lambda *_: print('a signal was handled'))
subprocess.run([sys.executable, '-c', ''], check=True)
"""


@pytest.mark.skipif(not hasattr(signal, 'SIGCHLD'), reason='about signals of POSIX')
def test_signals_are_handled_after_a_thread_dropped_the_last_session(file, repo):
    done = subprocess.run([sys.executable, '-c', CODE, str(file)], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(repo)))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == 'a signal was handled'
