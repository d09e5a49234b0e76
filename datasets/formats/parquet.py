"""Reads tables from Parquet files by pandas and pyarrow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.contracts import DataError
from datasets.formats.files import open_regular, require_memory
from datasets.formats.tables import Content, named, needed, unreadable

WIDTH = 8
"""Bytes of a number in memory."""


def read_parquet(path: Path) -> Content:
    """Read one table; the index of a DataFrame that was saved becomes its first column.

    Raises
    ------
    DataError
        If it is no such file, or declares more than fits in memory.
    """
    parquet = needed("pyarrow.parquet", path)
    try:
        with open_regular(path) as stream:
            declared = parquet.ParquetFile(stream).metadata
            require_memory(path, WIDTH * declared.num_rows * declared.num_columns)
            table = pd.read_parquet(stream, engine="pyarrow")
    except DataError:
        raise
    except Exception as error:  # pyarrow raises what bytes make of it
        raise unreadable(path, "Parquet", error) from error
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    table.columns = pd.Index(named([str(name) for name in table.columns]))
    return Content({path.stem: table})
