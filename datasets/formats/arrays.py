"""What arrays of a data set must be, whatever file they come from; it must not know any data set by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.contracts import Array, DataError


def refusal(path: Path, expected: str, found: str, remedy: str) -> DataError:
    """Word an error about input data the same way everywhere."""
    return DataError(f"{path}: expected {expected}, found {found}; {remedy}")


def data_hash(modalities: Sequence[Array], labels: Array) -> str:
    """Return the SHA-256 over shapes, dtypes and bytes (C order) of modalities and labels."""
    digest = hashlib.sha256()
    for array in (*modalities, labels):
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_array(path: Path, shape: tuple[int, int]) -> Array:
    """Read a numeric `.npy` file of a known shape; nothing is unpickled, and dtype stays as stored.

    Raises
    ------
    DataError
        If the file is missing, is no plain `.npy` array (pickled objects, an archive, text), is
        shorter or longer than its header says, or has another shape or a non-numeric dtype.
    """
    size = path.stat().st_size if path.is_file() else None
    if size is None:
        raise refusal(path, f"an array of shape {shape}", "no such file", "add it (see the README)")
    try:
        # Mapping reads the header alone, so that a wrong shape is refused before its data are read.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise refusal(
            path,
            f"a complete .npy file with a numeric array of shape {shape}",
            f"a truncated, pickled or foreign file of {size} bytes ({error})",
            "write it again with numpy.save(path, array, allow_pickle=False)",
        ) from error
    if not isinstance(array, np.memmap):
        raise refusal(path, "one array", "an .npz archive", "save each array with numpy.save")
    if array.dtype.kind not in "biuf":
        raise refusal(path, "real numbers", f"dtype {array.dtype}", "convert with astype('float32')")
    if array.shape != shape:
        raise refusal(path, f"shape {shape} (Table I)", f"shape {array.shape}", "check rows and columns")
    if array.offset + array.nbytes != size:
        extra = size - array.offset - array.nbytes
        raise refusal(path, f"{size - extra} bytes", f"{size} bytes", "the file was altered; save it again")
    return np.array(array)


def as_features(stored: Array, origin: Path) -> Array:
    """Return one modality as read-only float32 `(N, d_k)`; a value that is not finite raises DataError."""
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes inf and is refused below
        features = np.ascontiguousarray(stored, dtype="<f4")
    bad = ~np.isfinite(features)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise refusal(
            origin,
            "finite float32 values",
            f"{int(bad.sum())} that are not, the first in row {row}, column {column}: {stored[row, column]}",
            "impute or drop them before saving",
        )
    features.setflags(write=False)
    return features


def as_labels(stored: Array, origin: Path) -> Array:
    """Return labels as read-only uint8 `(N, q)`; a value other than 0 and 1 raises DataError."""
    bad = (stored != 0) & (stored != 1)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise refusal(
            origin,
            "labels 0 and 1 only",
            f"{stored[row, column]} in row {row}, column {column} ({int(bad.sum())} such values)",
            "map the labels to 0 (absent) and 1 (present)",
        )
    labels = np.ascontiguousarray(stored, dtype=np.uint8)
    labels.setflags(write=False)
    return labels
