"""Whether files can be locked in a folder, so that a lock dies with its holder; it locks nothing for good."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path

from filelock import FileLock, SoftFileLock

from benchmark.files import remove_files_of_the_dead, this_process


def require_locks(folder: Path) -> None:
    """Make a folder, and try whether files in it can be locked.

    Raises
    ------
    OSError
        If not. Files that merely exist while a lock is held, filelock's answer where the system has no locks,
        are refused: they would outlive a holder that is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_files_of_the_dead(folder, ".probe-")
    path = folder / f".probe-{this_process()}"  # a file that is new, and nobody else's
    lock = FileLock(path, is_singleton=False)
    try:
        with warnings.catch_warnings(action="ignore"), lock.acquire(blocking=False):
            if isinstance(lock, SoftFileLock):
                raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(folder))
    finally:
        path.unlink(missing_ok=True)
