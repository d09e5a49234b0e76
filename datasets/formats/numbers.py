"""How columns of tables become features and labels in numbers; it knows no format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype

from benchmark.contracts import Array, DataError
from datasets.formats.arrays import as_labels
from datasets.formats.tables import few

IDS = "say --index if these are ids"
TRUTH = {"1": 1, "true": 1, "yes": 1, "t": 1, "y": 1, "0": 0, "false": 0, "no": 0, "f": 0, "n": 0}


def feature_matrix(table: str, frame: pd.DataFrame, notes: list[str]) -> Array:
    """Return a table's columns as numbers (n, d); one of declared words becomes a column for each word.

    Raises
    ------
    DataError
        If a column holds anything else, with its name and a value.
    """
    if all(isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in frame.dtypes):
        return frame.to_numpy()
    converted: list[Array] = []
    words: list[str] = []
    for k, name in enumerate(frame.columns):
        column = frame.iloc[:, k]
        if is_numeric_dtype(column.dtype) and not is_complex_dtype(column.dtype):
            converted.append(column.to_numpy(dtype=np.float64, na_value=np.nan)[:, None])
        elif isinstance(column.dtype, pd.CategoricalDtype) and not column.isna().any():
            converted.append(np.eye(len(column.cat.categories))[column.cat.codes])
            words.append(f"{name} ({', '.join(map(str, column.cat.categories[:5]))})")
        else:
            first = next((x for x in column if isinstance(x, str)), column.iloc[0])
            remedy = f"{IDS}, else choose other columns with --modality"
            raise DataError(f"{table}: column {name!r} holds {str(first)[:80]!r}, no number; {remedy}")
    if words:
        count = sum(x.shape[1] for x in converted if x.shape[1] > 1)
        notes.append(f"{table}: a column of 0 and 1 for each word ({count}) of {few(words)}")
    return np.concatenate(converted, axis=1)


def label_matrix(frames: Sequence[tuple[str, pd.DataFrame]], notes: list[str]) -> Array:
    """Return labels (n, q) in {0, 1}, from these, from -1 and 1, or from words such as yes and no.

    Raises
    ------
    DataError
        If a column holds anything else.
    """
    if not any(frame.shape[1] for _, frame in frames):
        raise DataError("there are no labels: no row has one")
    matrix = np.concatenate([_label_numbers(table, frame, notes) for table, frame in frames], axis=1)
    if matrix.size and matrix.min() == -1 and np.isin(matrix, (-1, 1)).all():
        notes.append("labels: -1 became 0")
        matrix = matrix > 0
    return as_labels(matrix, Path("labels"))


def _label_numbers(table: str, frame: pd.DataFrame, notes: list[str]) -> Array:
    columns = []
    texts = 0
    for k, name in enumerate(frame.columns):
        column = frame.iloc[:, k]
        if not is_numeric_dtype(column.dtype):
            texts += 1
            truth = column.astype(str).str.strip().str.lower().map(TRUTH)
            if truth.isna().any():
                value = str(column.iloc[int(np.argmax(truth.isna()))])[:80]
                remedy = f"{IDS}, else map absent to 0 and present to 1"
                raise DataError(f"{table}: column {name!r} holds {value!r}, no label; {remedy}")
            column = truth
        columns.append(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if texts:
        notes.append(f"{table}: words of {texts} labels became 0 and 1")
    return np.stack(columns, axis=1)
