"""Keeps arrays in a folder of verified, memory-mapped files; it must not know what they mean."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmark.contracts import Array, DataError
from benchmark.files import naming, write_text
from datasets.formats.files import file_sha256

MANIFEST = "manifest.json"


def cached_arrays(folder: Path, build: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
    """Return the arrays kept in `folder`, read-only and memory-mapped; build and keep them if need be.

    A folder is written under a temporary name and renamed when complete, so that it is whole or
    absent whoever is killed when. Files are compared with the SHA-256 in its manifest each time; a
    folder that fails is rebuilt, with a warning that says so.

    Parameters
    ----------
    folder : Path
        Its name must change whenever what `build` returns changes.
    build : callable
        Returns the arrays by name; called at most once.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    if folder.exists():
        fault = find_fault(folder)
        if fault is None:
            return open_arrays(folder)
        warnings.warn(f"{folder}: {fault}; rebuilding it", stacklevel=2)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            write_arrays(scratch / "new", build())
            publish(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{folder.parent}: expected a writable cache folder, found {error}; name another in $M3LA_CACHE"
        ) from error
    return open_arrays(folder)


def find_fault(folder: Path) -> str | None:
    """Say what is wrong with a kept folder, or None: every file must have its manifest's SHA-256."""
    try:
        sums = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
        if unlike := sorted(sums.keys() ^ {path.name for path in folder.glob("*.npy")}):
            return f"{MANIFEST} and the folder differ in {', '.join(unlike)}"
        if not sums:
            return f"{MANIFEST} lists nothing"
        for name, expected in sums.items():
            if file_sha256(folder / name) != expected:
                return f"{name} is truncated or altered (SHA-256 differs from {MANIFEST})"
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        return f"{MANIFEST} is damaged or a file is missing ({error})"
    return None


def open_arrays(folder: Path) -> dict[str, Array]:
    """Map the arrays of a complete folder, in the order in which they were written."""
    names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
    return {Path(name).stem: np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names}


def write_arrays(folder: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays and then the manifest with their SHA-256."""
    folder.mkdir()
    sums = {}
    for name, array in arrays.items():
        path = folder / f"{name}.npy"
        with naming(path):
            np.save(path, array, allow_pickle=False)
        sums[path.name] = file_sha256(path)
    write_text(folder / MANIFEST, json.dumps({"sha256": sums}, indent=1))


def publish(scratch: Path, folder: Path) -> None:
    """Move `scratch/new` to `folder`; a process that finished the same work first is left in place."""
    if folder.exists() and find_fault(folder) is not None:
        with contextlib.suppress(FileNotFoundError):  # another process moved it away first
            folder.replace(scratch / "faulty")
    try:
        (scratch / "new").replace(folder)
    except OSError:
        # A folder that is not empty cannot be replaced: another process renamed its own in between.
        if not folder.exists() or find_fault(folder) is not None:
            raise
