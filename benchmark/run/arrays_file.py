"""The file `scores.npz`: arrays packed, and read back from bytes that may be anybody's; no digest."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.contracts import Array
from benchmark.run.record_file import RecordError

SCORES_FILE = "scores.npz"
MOST_ARRAYS = 2**29
"""Bytes of all arrays of a job; more is neither written nor read."""
DAMAGED = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, MemoryError),  # numpy, on content and sizes
    *(SyntaxError, tokenize.TokenError),  # numpy, on an array's header, which is Python text
    *(zipfile.BadZipFile, zlib.error, struct.error, RuntimeError),  # the archive; RuntimeError: "encrypted"
)
"""What numpy and zipfile raise on an altered archive; found by altering each byte of one."""
_PARSING = threading.Lock()
"""Held while numpy parses a header as Python, for which Python 3.11 has one place for all threads."""


def score_digest(scores: Array) -> str:
    """Return the SHA-256 of scores (n, q) as little-endian float32 in C order."""
    return hashlib.sha256(np.ascontiguousarray(scores, dtype="<f4").tobytes()).hexdigest()


def packed(arrays: Mapping[str, Array]) -> bytes:
    """Return arrays as an archive; `ValueError` for more than one may hold."""
    if (size := sum(array.nbytes for array in arrays.values())) > MOST_ARRAYS:
        raise ValueError(f"the job's arrays have {size} bytes; a record holds at most {MOST_ARRAYS}")
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def read_arrays_file(path: Path) -> dict[str, Array]:
    """Read an archive of arrays that has no digest, with the same care.

    Raises
    ------
    RecordError
        If it is too large, damaged, or of something else.
    """
    try:
        if (size := path.stat().st_size) > MOST_ARRAYS:
            raise ValueError(f"it has {size} bytes")
        return unpacked(path.read_bytes())
    except DAMAGED as error:
        raise RecordError(
            f"{path} cannot be read ({type(error).__name__}: {error}); write it again"
        ) from error


def unpacked(content: bytes) -> dict[str, Array]:
    """Return the arrays of an archive; one of `DAMAGED` if it is none, or would take more memory than any."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MOST_ARRAYS:
            raise ValueError(f"its arrays would take more than {MOST_ARRAYS} bytes")
        return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Read one; refuse what is pickled, and a header that promises another size than there is."""
    # Others than numpy's own two raise errors of modules that not every Python has (lzma).
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} has compression type {member.compress_type}")
    stream = io.BytesIO(archive.read(member))
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with _PARSING:
        shape, in_columns, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds objects, which are never read")
    if math.prod(shape) * dtype.itemsize != member.file_size - stream.tell():
        raise ValueError(f"{member.filename} has another size than its header says")
    flat = np.frombuffer(bytearray(stream.read()), dtype)  # of its own, so that it can be written to
    return flat.reshape(shape, order="F" if in_columns else "C")
