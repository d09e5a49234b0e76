"""Reads MATLAB files: up to v7 by scipy, v7.3 by pymatreader; cells become tables in MATLAB's order."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.contracts import DataError
from datasets.formats.files import open_regular, refusal, require_memory
from datasets.formats.tables import Content, needed, unreadable

HEADER = 128
"""Bytes before the first variable of a v5 file."""
COMPRESSED = 15
"""Type of a variable that zlib has packed."""
WIDENING = 8
"""MATLAB stores whole numbers in one byte that take eight in memory."""
CHUNK = 2**20


def read_v5(path: Path) -> Content:
    """Read the variables of a file of MATLAB v4 to v7.

    Raises
    ------
    DataError
        If it is damaged or unpacks to more than fits in memory.
    """
    from scipy.io import loadmat

    require_memory(path, WIDENING * _unpacked_size(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes that it does not know; they are listed as left out
            variables = loadmat(str(path), appendmat=False, chars_as_strings=True)
    except Exception as error:  # its reader of bytes raises what bytes make of it
        raise unreadable(path, "MATLAB", error) from error
    return _content({name: x for name, x in variables.items() if not name.startswith("__")}, path)


def read_v73(path: Path) -> Content:
    """Read the variables of a file of MATLAB v7.3, which is HDF5.

    Raises
    ------
    DataError
        If it is damaged, points to other files or declares more than fits in memory.
    """
    h5py, pymatreader = needed("h5py", path), needed("pymatreader", path)
    try:
        with h5py.File(path, "r") as file:
            _check_hdf5(h5py, file, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            variables = pymatreader.read_mat(path)
    except DataError:
        raise
    except Exception as error:  # h5py and what is built on it raise many kinds
        raise unreadable(path, "MATLAB v7.3", error) from error
    return _content({name: x for name, x in variables.items() if not name.startswith("#")}, path)


def _unpacked_size(path: Path) -> int:
    """Return the bytes of all variables; packed ones say only by being unpacked how many they are."""
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        header = stream.read(HEADER)
        if not header.startswith(b"MATLAB"):  # v4 packs nothing
            return size
        order: Literal["little", "big"] = "little" if header.endswith(b"IM") else "big"
        total = 0
        while len(tag := stream.read(8)) == 8:
            kind, length = (int.from_bytes(part, order) for part in (tag[:4], tag[4:]))
            if kind != COMPRESSED:
                total += length
                stream.seek(length, 1)
                continue
            unpack = zlib.decompressobj()
            packed, end = b"", stream.tell() + length
            while not unpack.eof and (packed or stream.tell() < end):
                packed = packed or stream.read(min(CHUNK, end - stream.tell()))
                if not packed:
                    break
                try:
                    total += len(unpack.decompress(packed, CHUNK))
                except zlib.error as error:
                    raise unreadable(path, "MATLAB", error) from error
                packed = unpack.unconsumed_tail
            require_memory(path, WIDENING * total)
            stream.seek(end)
    return total


def _check_hdf5(h5py: Any, file: Any, path: Path) -> None:
    """Hold what the file declares against memory before anything is read."""
    total = 0

    def visit(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += item.size * max(item.dtype.itemsize, 1) if item.shape else 0
            if item.external:
                raise refusal(path, "numbers in the file itself", f"{name} in another file", "save it whole")
        else:
            links = [item.get(key, getlink=True) for key in item]
            if any(isinstance(link, h5py.ExternalLink) for link in links):
                raise refusal(path, "variables in the file itself", "links to others", "save it whole")

    visit("/", file)
    file.visititems(visit)
    require_memory(path, total)


def _content(variables: dict[str, Any], path: Path) -> Content:
    content = Content()
    for name, value in sorted(variables.items()):  # pymatreader gives them in no order
        for part, leaf in _leaves(name, value):
            words = _words(leaf)
            if words:
                content.words[part] = words
            elif isinstance(leaf, int | float | np.ndarray) or hasattr(leaf, "tocsr"):
                content.add(part, np.atleast_1d(leaf) if np.isscalar(leaf) else leaf, path)
            else:
                content.unread[part] = f"a {type(leaf).__name__}"
    return content


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what cells and structures hold, named as in MATLAB: `view{1}`, `data.view`.

    A cell of text, and the only element of a cell or structure, keep its name: readers differ in whether
    they keep a cell around one thing.
    """
    if isinstance(value, np.ndarray) and value.dtype.names:
        value = [{field: x[field] for field in value.dtype.names} for x in value.ravel(order="F")]
    elif isinstance(value, np.ndarray) and value.dtype == object:
        value = list(value.ravel(order="F"))  # MATLAB counts cells column by column, and so does v7.3
    if isinstance(value, dict):
        for field, x in sorted(value.items()):
            yield from _leaves(f"{name}.{field}", x)
    elif isinstance(value, list) and not _words(value):
        for k, x in enumerate(value, start=1):
            yield from _leaves(name if len(value) == 1 else f"{name}{{{k}}}", x)
    else:
        yield name, value


def _words(value: Any) -> tuple[str, ...]:
    """Return text or a list of text without what pads it; nothing if it is anything else."""
    if isinstance(value, str):
        return (value.strip(),)
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.dtype.kind == "U" else ()
    if not isinstance(value, list | tuple):
        return ()
    parts = [_words(x) for x in value]
    return tuple(part[0] for part in parts) if all(len(part) == 1 for part in parts) else ()
