"""Reads arrays from `.npy` and `.npz` files; nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from benchmark.contracts import DataError
from datasets.formats.files import MOST_TEXT, open_regular, require_memory
from datasets.formats.npy import read_array, read_header, read_stream
from datasets.formats.tables import Content, unreadable

SPARSE = {"format", "shape", "data", "indices", "indptr"}
"""Members of an archive that `scipy.sparse.save_npz` writes."""


def read_npy(path: Path) -> Content:
    """Read one array, named by the file."""
    content = Content()
    content.add(path.stem, read_array(path), path)
    return content


def read_npz(path: Path) -> Content:
    """Read an archive's arrays by their names, or the one sparse matrix that scipy saved in it.

    A member that holds no numbers is left out; one of text becomes a list of words.

    Raises
    ------
    DataError
        If the archive is damaged or unpacks to more than fits in memory.
    """
    with open_regular(path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
                if members.keys() >= SPARSE:
                    return _read_sparse(path, archive)
                content = Content()
                for name, info in members.items():
                    _read_member(content, name, archive, info, path)
                return content
        except DataError:
            raise
        except Exception as error:  # an archive's reader raises what bytes make of it
            raise unreadable(path, "NPZ", error) from error


def _read_member(
    content: Content, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path
) -> None:
    where = Path(f"{path}:{info.filename}")
    with archive.open(info) as member:
        try:
            header = read_header(member, where, info.file_size)
        except DataError as error:
            header, why = None, str(error)
    with archive.open(info) as member:
        if header is not None:
            content.add(name, read_stream(member, where, info.file_size), path)
            return
        try:
            words = (
                np.lib.format.read_array(member, allow_pickle=False) if info.file_size < MOST_TEXT else None
            )
        except (ValueError, MemoryError, RecursionError):
            words = None
    if words is not None and words.dtype.kind in "US":
        content.words[name] = tuple(x.decode("utf-8") if isinstance(x, bytes) else x for x in words.ravel())
    else:
        content.unread[name] = why.partition(": ")[2]


def _read_sparse(path: Path, archive: zipfile.ZipFile) -> Content:
    from scipy import sparse

    require_memory(path, sum(info.file_size for info in archive.infolist()))
    content = Content()
    try:
        content.add(path.stem, sparse.load_npz(path), path)
    except (ValueError, KeyError, TypeError, OSError, MemoryError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise unreadable(path, "sparse NPZ", error) from error
    return content
