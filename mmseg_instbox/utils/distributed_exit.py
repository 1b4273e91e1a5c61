"""Ends a process of a distributed run without Python's own shutdown."""
import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def distributed_exit() -> Iterator[None]:
    """Wrap a program; if it joins a process group, it ends after its exit handlers.

    Python's own shutdown has two faults then. Gloo's threads release the tensors of the last
    operation late; one that does so while Python shuts down aborts the process after all its work
    is done (``terminate called without an active exception``), and destroying the group does not
    help while a model still holds it. And a process whose peer is lost waits for it for ever.

    Programs that joined no group end as usual.
    """
    code = 1  # of an exception that is not handled

    def end() -> None:
        distributed = sys.modules.get('torch.distributed')  # not imported for this alone
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)

    atexit.register(end)  # before all other handlers, so that it runs after them
    try:
        yield
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        raise
    code = 0
