"""Memory of a process that works for days."""
import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
BLOCK = 2**20  # bytes


def keep_memory_steady() -> bool:
    """Makes the C library give freed memory back to the system.

    glibc raises the size from which a block is given back at once to that of the largest one freed,
    up to 32 MB, and keeps a heap for each of several threads; arrays of pictures of many sizes then
    leave holes that add up. Afterwards blocks from 1 MB on always go back, and there are two heaps.
    For processes of our own, such as the server: it holds for the whole process.

    Returns:
        bool: Whether it was done; not where the C library is not glibc.
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:  # musl
        return False
    settings = ((_M_MMAP_THRESHOLD, BLOCK), (_M_TRIM_THRESHOLD, BLOCK), (_M_ARENA_MAX, 2))
    return all([mallopt(name, value) == 1 for name, value in settings])
