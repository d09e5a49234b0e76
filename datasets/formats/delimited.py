"""Reads tables from CSV files and their kin by pandas, every digit as it is written."""

from __future__ import annotations

import csv
import re
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import DataError
from datasets.formats.files import open_regular, require_memory
from datasets.formats.tables import Content, encoding_of, named, position_of, unreadable

SEPARATORS = ",\t;|"
BLANKS = r"\s+"
PARSED = 16
"""Bytes in memory for one in a file: a digit and a separator become eight, held twice meanwhile."""
MISSING = ["", "NA", "N/A", "n/a", "<NA>", "na", "nan", "NaN", "NAN", "null", "NULL", "None", "?"]
VALUE = re.compile(
    r"\s*(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?inf|nan|n/?a|null|\?|)\s*", re.ASCII | re.IGNORECASE
)
"""What a row of numbers may hold, and a line of names never holds alone."""


def read_delimited(path: Path, index: str | None = None) -> Content:
    """Read one table, separated by what its first line has most of: comma, tab, semicolon, bar, else blanks.

    A first line of numbers alone is a row, and columns are then without names; but 0, 1, 2 and so on are
    names. One name less than there are columns means that the first column, of rows' names, has none.

    Parameters
    ----------
    path : Path
    index : str, optional
        Name or position of the column of ids, which are read as text: 007 is not 7.

    Raises
    ------
    DataError
        If it is no such table, or larger than memory.
    """
    with open_regular(path) as stream:
        require_memory(path, PARSED * stream.seek(0, 2))
    encoding = encoding_of(path)
    try:
        with path.open(encoding=encoding, newline="") as lines:
            separator = _separator(list(islice(lines, 2)))
            lines.seek(0)
            rows = map(str.split, lines) if separator == BLANKS else csv.reader(lines, delimiter=separator)
            names, second = next(rows, []), next(rows, [])
        headed = not all(map(VALUE.fullmatch, names)) or _numbers_columns(names)
        if headed and len(second) == len(names) + 1:
            names = ["", *names]
        if not names:
            raise ValueError("no columns in the first line")
        ids = set() if index is None else {position_of(names, index, path)}
        table = _table(path, len(names), ids, sep=separator, encoding=encoding, header=0 if headed else None)
    except DataError:
        raise
    except (ValueError, OSError, csv.Error, pd.errors.ParserWarning) as error:
        raise unreadable(path, "CSV", error) from error
    table.columns = pd.Index(named(names)) if headed else pd.RangeIndex(len(names))
    content = Content({path.stem: table})
    if not headed:
        content.notes.append(f"{path.name}: no line of names, as its first line holds numbers alone")
    return content


def _numbers_columns(names: list[str]) -> bool:
    """Return whether a first line is what pandas writes of columns without names, 0, 1, 2 and so on."""
    numbers = names[1:] if names[:1] == [""] else names
    return len(numbers) > 1 and numbers == [str(k) for k in range(len(numbers))]


def _table(path: Path, width: int, ids: set[int], **form: Any) -> pd.DataFrame:
    """Read as many columns, of which those of ids are text."""
    if not _rounds_rightly():  # older versions of pandas need to be told, and newer ones refuse to be
        form["float_precision"] = "round_trip"
    missing: Any = {k: MISSING for k in range(width) if k not in ids}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of columns that it would drop
        return pd.read_csv(
            path,
            names=range(width),
            index_col=False,
            compression=None,
            dtype=dict.fromkeys(ids, str),
            na_values=missing,
            keep_default_na=False,
            low_memory=False,
            iterator=False,
            chunksize=None,
            **form,
        )


def _separator(lines: list[str]) -> str:
    first = re.sub(r'"[^"]*"?', "", lines[0]) if lines else ""
    best = max(SEPARATORS, key=first.count)
    widths = {len(line.split()) for line in lines}
    return BLANKS if first.count(best) == 0 and len(widths) == 1 and min(widths) > 1 else best


def _rounds_rightly() -> bool:
    return tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
