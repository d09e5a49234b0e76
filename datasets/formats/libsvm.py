"""Reads LIBSVM files with several labels to a row by scikit-learn, with or without a line of sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from datasets.formats.files import open_regular, refusal, require_memory
from datasets.formats.tables import Content, unreadable

SIZES = re.compile(rb"\s*(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})\s*")
"""Rows, features and labels, which some files, as those of extreme classification, write first."""
LABELS = "labels"


def read_libsvm(paths: Sequence[Path]) -> Content:
    """Read features and labels of one or more files of the same columns; a label is called by its number.

    Features count from 0 where some row has a feature 0 and from 1 else, and end with the last that some row
    has. A line of sizes says where they end, and that they count from 0.

    Raises
    ------
    DataError
        If it is no such file, or a line is blank: scikit-learn would drop the row.
    """
    from scipy import sparse
    from sklearn.datasets import load_svmlight_files

    sizes = [size for path in paths if (size := _sizes(path))]
    width = {"n_features": max(size[1] for size in sizes), "zero_based": True} if sizes else {}
    try:
        with ExitStack() as stack:
            streams = [stack.enter_context(open_regular(path)) for path in paths]
            for path, stream in zip(paths, streams, strict=True):
                if _sizes(path):
                    stream.readline()
            parts = load_svmlight_files(streams, multilabel=True, **width)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise unreadable(paths[0], "LIBSVM", error) from error
    content = Content()
    rows = [row for part in parts[1::2] for row in part]
    if sizes and len(rows) != (declared := sum(size[0] for size in sizes)):
        raise refusal(paths[0], f"the {declared} rows of its first line", str(len(rows)), "save it again")
    content.add(paths[0].stem, sparse.vstack(parts[::2]), paths[0])
    content.tables[LABELS] = _indicators(rows, max((size[2] for size in sizes), default=0), paths[0])
    content.labels[LABELS] = tuple(range(content.tables[LABELS].shape[1]))
    return content


def _sizes(path: Path) -> tuple[int, int, int] | None:
    """Return what a line of sizes says, if there is one; DataError for a blank line before the last row."""
    with open_regular(path) as stream:
        found = SIZES.fullmatch(stream.readline(100))
        stream.seek(0)
        blank = 0
        for number, line in enumerate(stream, start=1):
            if line.strip() and blank:
                remedy = "write a row without labels and features as ' 1:0'"
                raise refusal(path, "a row in each line", f"line {blank} blank", remedy)
            blank = blank or (0 if line.strip() else number)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _indicators(rows: Sequence[Iterable[float]], count: int, path: Path) -> pd.DataFrame:
    """Return a column for each label that some row has, or for each of `count`."""
    seen = sorted({label for row in rows for label in row} | set(range(count)))
    require_memory(path, len(rows) * len(seen))
    column = {label: j for j, label in enumerate(seen)}
    matrix = np.zeros((len(rows), len(seen)), dtype=np.uint8)
    for i, row in enumerate(rows):
        matrix[i, [column[label] for label in row]] = 1
    return pd.DataFrame(matrix, columns=[f"{label:g}" for label in seen])
