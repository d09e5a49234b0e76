"""Keeps compiled kernels for the next process, and does without where that is impossible; it knows no kernel.

numba looks for a folder when a kernel is declared, and raises where neither the project's folder nor the
user's cache can be written. Nor does it expect files that it cannot read, or a full disk.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

ROOM = 2**22
"""Bytes that a folder must have room for: all kernels take about a quarter of that."""


def kept_njit(shared: Path, **options: Any) -> Callable[[Any], Any]:
    """Return `numba.njit(**options)` whose kernels are kept where there is a place for them.

    Parameters
    ----------
    shared : a file whose functions kernels of other files take in: when it changes, they are compiled again.
    options : as of `numba.njit`.
    """

    def compile_and_keep(function: Any) -> Any:
        kernel = numba.njit(**options)(function)
        with suppress(RuntimeError, OSError):  # without any place, each process compiles for itself
            kernel._cache = _cache_of(function, shared)
        return kernel

    return compile_and_keep


class _Cache(FunctionCache):
    """Compiles again what cannot be read or was made with another `shared`; goes on where it cannot write."""

    def __init__(self, function: Any, shared: Path) -> None:
        super().__init__(function)
        file: Any = self._cache_file
        file._source_stamp = (file._source_stamp, sha256(shared.read_bytes()).hexdigest())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling a damaged file raises whatever its bytes say
            with suppress(OSError):
                self.flush()  # else its index would stand in the way of a new one
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


def _cache_of(function: Any, shared: Path) -> _Cache:
    try:
        return _with_room(function, shared)
    except (RuntimeError, OSError) as error:
        _move_cache(str(error))
        return _with_room(function, shared)


def _with_room(function: Any, shared: Path) -> _Cache:
    found = _Cache(function, shared)
    _require_room(found.cache_path)
    return found


@cache
def _require_room(folder: str) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(ROOM))


def _move_cache(why: str) -> None:
    """Say once that nothing is kept for good, and point numba to a folder that goes when this process ends.

    Processes started from here inherit that folder, and so have nothing to say.
    """
    if _moved or multiprocessing.parent_process() is not None:
        return
    _moved.append(why)
    print(
        f"kernels have to be compiled again, as numba cannot keep them ({' '.join(why.split())}); "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        file=sys.stderr,
    )
    folder = tempfile.mkdtemp(prefix="kernels-")
    os.environ["NUMBA_CACHE_DIR"] = folder
    config: Any = numba.config
    config.CACHE_DIR = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


_moved: list[str] = []
