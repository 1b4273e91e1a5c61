"""Ends a process of a distributed run without taking Python down around its threads."""
import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def distributed_exit() -> Iterator[None]:
    """Wrap what a program does; if it joins a process group, its exit handlers are its end.

    Python's own way out has two faults then. Gloo's threads let go of the tensors of the last
    operation when they get to it; one that does while Python shuts down aborts the process, with
    all its work done (``terminate called without an active exception``), and taking the group down
    does not help while a model still holds it. And a process whose peer is lost waits for it, for
    ever.

    Programs that joined none end as always.
    """
    code = [1]  # what an exception that nobody handles means
    atexit.register(_end, code)  # before all other handlers, so that it runs after them
    try:
        yield
    except SystemExit as end:
        code[0] = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    code[0] = 0


def _end(code: list[int]) -> None:
    """End this process at once if it belongs to a process group."""
    distributed = sys.modules.get('torch.distributed')  # not imported for this alone
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code[0])
