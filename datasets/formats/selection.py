"""What `64:72`, `t_*`, `last:6`, `view{1}` or `drugs/0:100` choose among tables; it knows no file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import pandas as pd

from benchmark.contracts import DataError

WHOLE = ""
"""A choice of all columns of a table but labels and ids."""
RANGE = re.compile(r"(\d*):(\d*)|(first|last):(\d+)", re.ASCII)


def resolve(text: str, tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Return which tables, and which columns of each in words, a choice names.

    Raises
    ------
    DataError
        If a part of it names nothing, or columns of several tables.
    """
    chosen: list[tuple[str, str]] = []
    for part in [text] if _is_one(text, tables) else map(str.strip, text.split(",")):
        if not (found := _resolve_part(part, tables)):
            raise DataError(f"{part!r} names no table and no column; there are {listing(tables)}")
        chosen += found
    return chosen


def _is_one(text: str, tables: Mapping[str, pd.DataFrame]) -> bool:
    """Return whether commas, if there are any, belong to a name."""
    within = [(text[len(name) + 1 :], table) for name, table in tables.items() if text.startswith(f"{name}/")]
    whole = [(text, table) for table in tables.values()]
    return text in tables or any(_by_name(table, name) for name, table in within + whole)


def _resolve_part(part: str, tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    if part in tables:
        return [(part, WHOLE)]
    if owner := max((name for name in tables if part.startswith(f"{name}/")), key=len, default=""):
        return [(owner, part[len(owner) + 1 :])]
    if len(tables) > 1 and (globbed := [name for name in tables if fnmatchcase(name, part)]):
        return [(name, WHOLE) for name in globbed]
    owners = [name for name, table in tables.items() if len(tables) == 1 or _by_name(table, part)]
    if len(owners) > 1:
        raise DataError(f"{part!r} names columns of {', '.join(owners)}; write {owners[0]}/{part}")
    return [(owners[0], part)] if owners else []


def positions(table: pd.DataFrame, columns: str, name: str) -> list[int]:
    """Return where the columns of a resolved choice stand; DataError if there are none or not so many."""
    width = table.shape[1]
    if found := _by_name(table, columns):
        return found
    if numbers := RANGE.fullmatch(columns):
        start, stop, end, count = numbers.groups()
        if end:
            start, stop = (0, int(count)) if end == "first" else (width - int(count), width)
        start, stop = int(start or 0), width if stop == "" else int(stop)
        if 0 <= start < stop <= width:
            return list(range(start, stop))
    elif columns.isdecimal() and int(columns) < width:
        return [int(columns)]
    raise DataError(f"{columns!r} names no column of {listing({name: table})}")


def _by_name(table: pd.DataFrame, columns: str) -> list[int]:
    names = column_names(table)
    exact = [k for k, name in enumerate(names) if name == columns]
    if len(exact) > 1:
        raise DataError(f"{len(exact)} columns are named {columns!r}; choose by number, as {exact[0]}")
    if exact or not any(sign in columns for sign in "*?["):
        return exact
    return [k for k, name in enumerate(names) if fnmatchcase(name, columns)]


def column_names(table: pd.DataFrame) -> Sequence[str]:
    """Return the names of columns, none if they have none."""
    return () if isinstance(table.columns, pd.RangeIndex) else list(table.columns)


def listing(tables: Mapping[str, pd.DataFrame], most: int = 12) -> str:
    """Return tables with their sizes and first columns, for messages."""
    parts = []
    for name, table in list(tables.items())[:most]:
        names = [*map(repr, column_names(table)[:3]), *(["..."] if table.shape[1] > 3 else [])]
        first = f" ({', '.join(names)})" if column_names(table) else ""
        parts.append(f"{name} {len(table)} x {table.shape[1]}{first}")
    more = [f"{len(tables) - most} more"] if len(tables) > most else []
    return "; ".join(parts + more) or "no tables"
