"""What a program that trains asks of the process it runs in: memory that stays, and one thread for small products."""

import ctypes
import sys
from contextlib import AbstractContextManager, nullcontext

__all__ = ["keep_memory", "one_blas_thread"]

# mallopt(3), malloc.h: the numbers of glibc's settings, and what they are set to. Anything up to 1 GB comes from the
# heap and not from pages of its own; the heap is not trimmed, and it grows 64 MB at a time.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
SETTINGS = {M_MMAP_THRESHOLD: 2**30, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**26}


def keep_memory() -> bool:
    """Ask the C library to keep what is freed instead of handing it back to the system; True if it agreed.

    A training step makes and frees the same large arrays again and again. By default glibc gives them back each time,
    and the system hands them out anew, page by page, filled with zeros: 4,600 page faults in a step of a small LSTM
    language model, 10 of its 70 ms (benchmarks/steps.py). After this call there are none.

    It holds for the whole process, all libraries, until it ends, and cannot be undone: the process stays as large as
    it once was. So nothing here calls it at import; a program that trains calls it once, at its start. Elsewhere than
    on Linux with glibc nothing happens, and the answer is False.

    >>> keep_memory() in (True, False)
    True
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and all(mallopt(setting, value) for setting, value in SETTINGS.items())


def one_blas_thread() -> AbstractContextManager:
    """While this lasts, matrix products run on one thread, if threadpoolctl is there to see to it.

    At the sizes of this project a second thread gains little, and where others want the cores its spinning slows all
    of them down, server threads by 8 to 20 times.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)
