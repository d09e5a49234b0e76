"""Writes files whole or not at all, in UTF-8, and names them where that fails; it knows no content."""

from __future__ import annotations

import os
import platform
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def temporary_folder(name: str) -> Path:
    """Name this user's folder of a kind among the temporary files; containers have users without a name."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"{name}-{user}"


def this_process() -> str:
    """Name this process on this machine, for what must not outlive it; see `those_of_the_dead`."""
    return f"{zlib.crc32(platform.node().encode()):08x}-{os.getpid()}"


def those_of_the_dead(folder: Path, prefix: str = "") -> Iterator[tuple[Path, int]]:
    """Yield what lies in a folder under a prefix and the name of a process of this machine that is gone."""
    import psutil

    machine = this_process().partition("-")[0]
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        found = re.fullmatch(rf"{re.escape(prefix)}{machine}-(\d+)(?:\.\d+)?", path.name)
        if found and not psutil.pid_exists(int(found[1])):
            yield path, int(found[1])


def remove_files_of_the_dead(folder: Path, prefix: str) -> None:
    """Remove files that processes were at when they were killed; see `those_of_the_dead`."""
    for path, _ in those_of_the_dead(folder, prefix):
        path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name `path` in an `OSError` that names no file, as those of a full disk do."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno is None:  # numpy's: how many items it wrote
            raise OSError(f"{path}: {error}") from error
        error.filename = str(path)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, and its folder where there is none; an earlier file stays until the new one is whole.

    What writers of the same file left that were killed is removed. What is no ordinary file, such as
    `/dev/stdout` or a pipe, is written to directly.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        with naming(path):
            path.write_bytes(content)
        return
    path = path.resolve()  # a link stays one
    remove_files_of_the_dead(path.parent, f".{path.name}.")
    partial = path.with_name(f".{path.name}.{this_process()}.{get_ident()}")
    try:
        with naming(path):
            partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, line ends as they are; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_csv(path: Path, frame: pd.DataFrame, float_format: str | None = None) -> None:
    """Write a frame without its index, lines ending alike on every system; see `write_bytes`."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n", float_format=float_format))
