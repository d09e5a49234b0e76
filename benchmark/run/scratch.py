"""What a process of a run keeps outside the results: sockets, semaphores; gone with it, or by a later run.

A process that is killed cannot remove what it made, so each one has a folder of its own name, by which later
ones know what it left. It knows no job.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from contextlib import suppress
from multiprocessing.util import Finalize
from pathlib import Path

from benchmark.files import temporary_folder, this_process, those_of_the_dead

FOLDER = "m3la-processes"
SHARED = Path("/dev/shm")
"""Where the system keeps named semaphores and shared memory; not everywhere."""


def claim_folder() -> None:
    """Give this process a folder, in which its fork server listens; remove what those before it left."""
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir"):
        return
    folder = temporary_folder(FOLDER)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():  # somebody else's: Python's own place is safer
            return
        remove_what_the_dead_left()
        own = folder / this_process()
        own.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return
    Finalize(None, shutil.rmtree, args=(own,), kwargs={"ignore_errors": True}, exitpriority=-100)
    config["tempdir"] = str(own)


def remove_what_the_dead_left() -> None:
    """Remove sockets and semaphores of processes that had a folder and were killed."""
    for path, pid in those_of_the_dead(temporary_folder(FOLDER)):
        for kind in (f"sem.loky-{pid}-*", f"joblib_memmapping_folder_{pid}_*"):
            for left in SHARED.glob(kind):
                with suppress(OSError):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
        shutil.rmtree(path, ignore_errors=True)
