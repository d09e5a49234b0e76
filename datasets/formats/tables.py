"""What every reader of a source makes of it: named tables of columns; it knows no format."""

from __future__ import annotations

import codecs
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import DataError
from datasets.formats.files import open_regular, refusal, require_memory


@dataclass
class Content:
    """What one file holds.

    A table of numbers without names has a `RangeIndex` of columns, and may lie on its side: what is a row is
    then for other tables to tell.
    """

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Lists of text by name, which may name labels."""
    labels: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Positions of the columns of labels by table, where the files themselves say which they are."""
    ids: dict[str, int] = field(default_factory=dict)
    """Position of the column of ids by table."""
    notes: list[str] = field(default_factory=list)
    """What was converted."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why something of this name was left out."""

    def add(self, name: str, value: Any, path: Path) -> None:
        """Take one array: a matrix, a vector as one column, a stack (m, n, d) as m matrices."""
        if hasattr(value, "tocsr"):
            require_memory(path, value.shape[0] * value.shape[1] * value.dtype.itemsize)
            value = value.toarray()
            self.notes.append(f"{name}: sparse, made dense")
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            self.unread[name] = f"values of type {array.dtype}"
        elif array.ndim == 3:
            self.notes.append(f"{name}: {' x '.join(map(str, array.shape))}, taken as {len(array)} matrices")
            for k, matrix in enumerate(array, start=1):
                self.tables[f"{name}{{{k}}}"] = pd.DataFrame(matrix)
        elif array.ndim in (1, 2) and array.size:
            self.tables[name] = pd.DataFrame(array.reshape(len(array), -1))
        else:
            self.unread[name] = f"shape {array.shape}"


def needed(module: str, path: Path) -> Any:
    """Import a reader of the extra `import`; DataError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        remedy = "pip install -e '.[import]' -c constraints.txt"
        raise refusal(path, f"the package {module} to read it", f"none ({error})", remedy) from error


def unreadable(path: Path, kind: str, error: Exception) -> DataError:
    """Word what a reader says of a file that it cannot read."""
    found = str(error)[:300] or type(error).__name__
    return refusal(path, f"a complete {kind} file", found, "save it again, or say another --format")


def encoding_of(path: Path) -> str:
    """Return UTF-8 or UTF-16 if a text is that, with or without a byte order mark, else Latin-1."""
    with open_regular(path) as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := stream.read(2**20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"


def choose(table: pd.DataFrame, columns: Sequence[int]) -> pd.DataFrame:
    """Return columns by position."""
    return table.iloc[:, list(columns)]


def few(names: Sequence[str], most: int = 5) -> str:
    """List the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def position_of(names: Sequence[str], column: str, path: Path) -> int:
    """Return where the column of a name stands, or of a number from 0 that is no name."""
    if list(names).count(column) == 1:
        return names.index(column)
    if column.isdecimal() and column not in names and int(column) < len(names):
        return int(column)
    found = few([*map(repr, names)]) or "columns without names"
    raise refusal(path, f"one column {column!r}", found, "say its name, or its number from 0")


def named(columns: Sequence[str]) -> list[str]:
    """Return names of columns in one line each."""
    return [" ".join(str(name).split()) for name in columns]
