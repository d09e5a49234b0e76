"""The memory of a job's process: kept when freed, and measured; it changes no number."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""


def keep_freed_memory() -> bool:
    """Tell glibc to serve large blocks from its heap and not to return them; no effect on any number.

    A training step frees and requests the same gradients of tens of MiB again and again. By default each
    request is a fresh mapping, whose pages the system has to clear one by one.

    Returns
    -------
    bool
        Whether the C library took the setting; False where it is not glibc.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    largest = 2**31 - 1
    return bool(mallopt(M_MMAP_THRESHOLD, 2**30) and mallopt(M_TRIM_THRESHOLD, largest))


def resident(pid: int) -> int:
    """Return the bytes that a process and its descendants hold in RAM now; 0 of one that is gone."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


def out_of_memory_kills(counters: Path = Path("/proc/vmstat")) -> int:
    """Return how many processes the system has ended so far as memory ran out; 0 where it does not say."""
    try:
        found = re.search(r"^oom_kill (\d+)$", counters.read_text(encoding="ascii"), flags=re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def forget_peak(file: Path = Path("/proc/self/clear_refs")) -> None:
    """Count this process's largest memory anew from here, where the system can."""
    with contextlib.suppress(OSError):
        switch = os.open(file, os.O_WRONLY)
        try:
            os.write(switch, b"5")
        finally:
            os.close(switch)


def peak_mib() -> float:
    """Return the largest resident memory of this process so far, or since `forget_peak`, in MiB."""
    import resource  # not everywhere

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
