"""Reads one array of numbers from a `.npy` file, nothing else and nothing more than that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from benchmark.contracts import Array, DataError
from datasets.formats.files import open_regular, refusal, require_memory

Expected = tuple[int | None, ...] | None
"""A shape, of which None stands for any size, or as a whole for any shape."""

MAGIC = b"\x93NUMPY"
MOST_HEADER = 10_000
"""Bytes; numpy itself reads no longer header."""
BLANK = r"[ \t\n]*"
"""Python's blanks; `\\s` has more."""
HEADER = re.compile(rf"\{{(?P<items>.*)\}}{BLANK}", re.DOTALL)
ITEM = re.compile(
    rf"""{BLANK}(?P<quote>['"])(?P<key>descr|fortran_order|shape)(?P=quote){BLANK}:{BLANK}"""
    rf"""(?P<value>'[^'\\]*'|"[^"\\]*"|True|False|\([^()]*\)){BLANK}(?:,{BLANK}|$)"""
)
SIZE = rf"{BLANK}\d{{1,18}}L?{BLANK}"
SHAPE = re.compile(rf"\((?:{BLANK}|(?:{SIZE},)+(?:{SIZE}|{BLANK}))\)", re.ASCII)
"""A tuple, in Python 2 also of numbers such as 60L; nothing negative, no booleans."""
DTYPE = re.compile(r"""['"]([<>=|]?(?:\?|O|[biufcmMSUV]\d{1,9}))['"]""", re.ASCII)
"""As `numpy.dtype.str` writes it."""
SAVE_AGAIN = "write it again with numpy.save(path, array, allow_pickle=False)"


class NotNumbersError(ValueError):
    """A header of an array of something else than real numbers of up to 8 bytes."""


@dataclass(frozen=True)
class Header:
    """What a `.npy` file says of its array."""

    dtype: np.dtype
    shape: tuple[int, ...]
    column_major: bool

    @property
    def nbytes(self) -> int:
        """Return how many bytes the array takes, in the file and in memory."""
        return prod(self.shape) * self.dtype.itemsize


def read_array(path: Path, shape: Expected = None) -> Array:
    """Read a numeric `.npy` file; nothing is unpickled, and dtype stays as stored.

    What the header declares is compared with the shape, the file's size and the free memory before the array
    is allocated, once.

    Raises
    ------
    DataError
        If the file is missing, is no plain `.npy` array (pickled objects, an archive, text), is
        shorter or longer than its header says, or has another shape or a non-numeric dtype.
    """
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        return read_stream(stream, path, size, shape)


def read_shape(path: Path) -> tuple[int, int]:
    """Return rows and columns of a matrix in a `.npy` file, of which the header alone is read.

    Raises
    ------
    DataError
        If it is no header of a matrix of numbers.
    """
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        shape = read_header(stream, path, size).shape
    if len(shape) != 2:
        raise refusal(path, "a matrix of rows and columns", f"shape {shape}", "save a matrix")
    return shape[0], shape[1]


def read_stream(stream: IO[bytes], path: Path, size: int, shape: Expected = None) -> Array:
    """Read an array as `read_array` does, from a stream of a known size that messages call `path`."""
    header = read_header(stream, path, size)
    _check(header, path, shape, stream.tell(), size)
    require_memory(path, header.nbytes)
    array = np.empty(header.shape, header.dtype, "F" if header.column_major else "C")
    bytes_of_array = (array.T if header.column_major else array).reshape(-1).view(np.uint8)
    if stream.readinto(bytes_of_array.data) != header.nbytes:  # type: ignore[attr-defined]
        raise refusal(path, f"{header.nbytes} bytes of numbers", "fewer", "the file changed; save it again")
    if header.dtype == bool and bytes_of_array.max(initial=0) > 1:
        what = f"the byte {int(bytes_of_array.max())}"
        raise refusal(path, "booleans stored as bytes 0 and 1", what, "convert with astype('uint8')")
    return array


def read_header(stream: IO[bytes], path: Path, size: int) -> Header:
    """Read what a `.npy` file of this size says of its array, up to where the numbers begin.

    Raises
    ------
    DataError
        If it is no header of an array of numbers.
    """

    def wrong(found: str) -> DataError:
        what = "a complete .npy file with a numeric array"
        return refusal(
            path, what, f"a truncated, pickled or foreign file of {size} bytes ({found})", SAVE_AGAIN
        )

    start = stream.read(len(MAGIC) + 2)
    if start.startswith(b"PK"):
        raise refusal(path, "one array", "an .npz archive", "save each array with numpy.save")
    if not start.startswith(MAGIC) or start[len(MAGIC) :] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise wrong(f"it begins with {start!r}")
    width = 2 if start[len(MAGIC)] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > min(MOST_HEADER, size - stream.tell()):
        raise wrong(f"its header would be {length} bytes long")
    text = stream.read(length).decode("latin-1")
    try:
        return parse_header(text)
    except NotNumbersError as error:
        raise refusal(path, "real numbers", str(error), "convert with astype('float32')") from error
    except ValueError as error:
        raise wrong(str(error)) from error


def parse_header(text: str) -> Header:
    """Read a header without evaluating it.

    Raises
    ------
    ValueError
        If it is no header of an array, or of pickled objects.
    NotNumbersError
        If it is one of an array that does not hold real numbers.
    """
    unread = ValueError(f"its header is {text[:80].rstrip()!r}")
    whole = HEADER.fullmatch(text)
    items = _items(whole["items"]) if whole else {}
    if items.keys() != {"descr", "fortran_order", "shape"}:
        raise unread
    described, shape = DTYPE.fullmatch(items["descr"]), SHAPE.fullmatch(items["shape"])
    if not described or not shape or items["fortran_order"] not in ("True", "False"):
        raise unread
    try:
        dtype = np.dtype(described[1])
    except (TypeError, ValueError):
        raise unread from None
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise NotNumbersError(f"dtype {dtype}")
    return Header(dtype, tuple(map(int, re.findall(r"\d+", shape[0]))), items["fortran_order"] == "True")


def _items(text: str) -> Mapping[str, str]:
    """Split `'key': value, ...`; nothing at all if anything is in the way or there twice."""
    items: dict[str, str] = {}
    place = 0
    while place < len(text):
        item = ITEM.match(text, place)
        if item is None or item["key"] in items:
            return {}
        items[item["key"]] = item["value"]
        place = item.end()
    return items


def _check(header: Header, path: Path, shape: Expected, offset: int, size: int) -> None:
    if shape is not None and (
        len(shape) != len(header.shape)
        or any(a not in (None, b) for a, b in zip(shape, header.shape, strict=True))
    ):
        wanted = str(shape).replace("None", "any") if None in shape else f"{shape} (Table I)"
        raise refusal(path, f"shape {wanted}", f"shape {header.shape}", "check rows and columns")
    if size < offset + header.nbytes:
        raise refusal(
            path, f"{offset + header.nbytes} bytes", f"{size} bytes: it is truncated", "save it again"
        )
    if size > offset + header.nbytes:
        altered = "the file was altered; save it again"
        raise refusal(path, f"{offset + header.nbytes} bytes", f"{size} bytes", altered)
