"""Opens files that people give, and words refusals of them; it knows no data set by name."""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

import psutil

from benchmark.contracts import DataError

MOST_TEXT = 2**20
"""Bytes of a list or statement beside features; a longer one is something else."""


def refusal(where: Path | str, expected: str, found: str, remedy: str) -> DataError:
    """Word an error about input data the same way everywhere, in one line."""
    text = " ".join(f"{where}: expected {expected}, found {found}; {remedy}".split())
    return DataError("".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text))


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read its bytes; a named pipe does not make it wait.

    Raises
    ------
    DataError
        If nothing is there, it cannot be read, or it is no regular file.
    """
    remedy = "put the file itself there, readable"
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise refusal(path, "a file", "no such file", "add it (see the README)") from None
    except OSError as error:  # also a directory, where a system does not open one
        raise refusal(path, "a readable file", error.strerror or str(error), remedy) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        kind = "a folder" if path.is_dir() else "a pipe or device"
        os.close(handle)
        raise refusal(path, "a file", kind, remedy)
    return os.fdopen(handle, "rb")


def require_memory(where: Path | str, nbytes: int) -> None:
    """Raise DataError unless twice that much memory is free: once to read, once to convert."""
    free = psutil.virtual_memory().available
    if 2 * nbytes > free:
        what = f"memory for twice {nbytes / 2**20:.0f} MiB"
        remedy = "end other programs, or use another machine"
        raise refusal(where, what, f"{free / 2**20:.0f} MiB free", remedy)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """Read a short text in UTF-8, or in UTF-16 that its byte order mark tells; without that mark.

    Raises
    ------
    DataError
        If it cannot be opened, is longer than `MOST_TEXT` or in another encoding.
    """
    with open_regular(path) as stream:
        content = stream.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise refusal(path, f"at most {MOST_TEXT} bytes of text", "more", "put the right file there")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise refusal(path, "text in UTF-8", f"other bytes ({error})", "save it again as UTF-8") from error
    if "\0" in text:
        what = "zero bytes, as in UTF-16 without a byte order mark or UTF-32"
        raise refusal(path, "text in UTF-8", what, "save it again as UTF-8")
    return text
