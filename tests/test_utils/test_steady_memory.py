"""Freed blocks go back to the system though larger ones were freed before."""
import json
import os
import platform
import subprocess
import sys

import pytest

CODE = """
import ctypes, json, sys
from mmseg_instbox.utils.steady_memory import keep_memory_steady
done = keep_memory_steady() if sys.argv[1] == 'steady' else None
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(open('/proc/self/status').read().split('VmRSS:')[1].split()[0]) // 1024

def take(megabytes):
    block = libc.malloc(megabytes * 2**20)
    ctypes.memset(block, 1, megabytes * 2**20)
    return block

libc.free(take(30))  # from here on glibc keeps blocks of up to 30 MB
before = resident()
blocks = [(take(4), libc.malloc(4000)) for _ in range(25)]
for block, _ in blocks:  # the small ones between them stay
    libc.free(block)
print(json.dumps([done, resident() - before]))
"""


def resident_growth(kind, repo):
    """Whether settings were made, and the megabytes that a process holds after freeing 100."""
    variables = {name: value for name, value in os.environ.items()
                 if not name.startswith(('MALLOC_', 'GLIBC_TUNABLES', 'LD_PRELOAD'))}
    done = subprocess.run([sys.executable, '-c', CODE, kind], check=True, capture_output=True,
                          text=True, env=dict(variables, PYTHONPATH=str(repo)))
    return json.loads(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='about glibc')
def test_holes_between_small_blocks_go_back(repo):
    said, as_it_is = resident_growth('as it is', repo)
    assert said is None
    if as_it_is < 50:
        pytest.skip('memory goes back here without settings, too')
    said, steady = resident_growth('steady', repo)
    assert said is True and steady <= 10
