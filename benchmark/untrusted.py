"""Reads tables, JSON and TOML that somebody else may have written: sizes before memory; it knows no content.

Whatever is wrong is a `ValueError` that says what; the caller names the file and the remedy.
"""

from __future__ import annotations

import csv
import io
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MOST_TABLE, MOST_TEXT = 2**25, 2**24
"""Bytes of a table, and of JSON or TOML; those of this program are below a fiftieth of that."""
MOST_COLUMNS, MOST_FIELD = 1_000, 2**17


def read_table(path: Path, **how: Any) -> pd.DataFrame:
    """Read a CSV whose rows all have as many fields as its header; `how` is for `pandas.read_csv`.

    pandas alone takes fields beyond the header for an index, which moves every number into another column.

    Raises
    ------
    ValueError
        If it is too large, is not UTF-8, or has a row of another width.
    """
    import pandas as pd

    text = _text(path, MOST_TABLE)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    before = csv.field_size_limit(MOST_FIELD)  # a process has one limit, and scipy's ARFF reader lifts it
    try:
        width = 0
        for row in rows:
            width = width or len(row)
            if len(row) > MOST_COLUMNS:
                raise ValueError(f"more than {MOST_COLUMNS} columns")
            if row and len(row) != width:
                raise ValueError(f"line {rows.line_num} has {len(row)} fields, the header {width}")
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from error
    finally:
        csv.field_size_limit(before)
    try:
        return pd.read_csv(io.StringIO(text), **how)
    except OverflowError as error:  # of a number with thousands of digits
        raise ValueError(str(error)) from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    ValueError
        If it is too large, too deep, or no JSON.
    """
    text = _text(path, MOST_TEXT)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("lists in lists without end") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ValueError
        If it is too large, too deep, or no TOML.
    """
    text = _text(path, MOST_TEXT)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("lists in lists without end") from error


def _text(path: Path, most: int) -> str:
    with path.open("rb") as file:  # a device or a pipe says nothing of its size
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"more than {most:,} bytes")
    return content.decode("utf-8")
