"""How the C library hands out memory while a network runs on a processor."""

from __future__ import annotations

import ctypes
import sys

#: mallopt's numbers (glibc, malloc.h).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_memory() -> bool:
    """Let glibc keep freed memory instead of giving every large tensor back at once.

    By default blocks above 32 MB are mapped anew for every tensor and cleared page by page by the
    kernel, which took up to half of the time of a training step on a processor
    (`tests/speed/bench_training.py`). Afterwards the process holds what it once needed. Returns
    whether it was possible: on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 256 << 20))
    done = [mallopt(name, value) == 1 for name, value in wanted]
    return all(done)
