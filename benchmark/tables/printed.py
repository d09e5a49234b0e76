"""The printed Tables II and III as frames, read at the edge; it must not know results of ours."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.score.metrics import METRICS
from benchmark.untrusted import read_table

COLUMNS = ("dataset", "method", "metric", "direction", "mean", "std", "bold")
MARKS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
"""What a table may write in `bold`, in any case."""


def read_printed(path: Path, dataset: str | None = None) -> pd.DataFrame:
    """Read one printed table.

    Parameters
    ----------
    path : Path
        `table2.csv` or `table3.csv` of `results/paper`.
    dataset : str, optional
        Id of the only data set, for a table without that column (Table III: `ml2000`).

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; `dataset` as lower-case ids, `bold` as bool, in the order of the file.

    Raises
    ------
    ValueError
        If columns, metrics, directions or marks are not the expected ones, or a cell appears twice.
    """
    try:
        printed = read_table(path, dtype={"bold": str, "dataset": str, "method": str})
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as CSV ({error}); correct the table") from error
    if dataset is not None:
        printed = printed.assign(dataset=dataset)
    missing = set(COLUMNS) - set(printed.columns)
    if missing:
        raise ValueError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, {', '.join(sorted(missing))} missing"
        )
    printed = printed[list(COLUMNS)].assign(
        dataset=printed["dataset"].str.lower(), bold=_marks(path, printed["bold"])
    )
    directions = {metric.id: metric.direction for metric in METRICS}
    wrong = printed[printed["metric"].map(directions) != printed["direction"]]
    if len(wrong):
        metric, direction = wrong.iloc[0][["metric", "direction"]]
        raise ValueError(f"{path}: metric {metric!r} with direction {direction!r} is not one of {directions}")
    if printed.duplicated(["dataset", "method", "metric"]).any():
        raise ValueError(f"{path}: a cell appears twice")
    return printed


def _marks(path: Path, texts: pd.Series) -> pd.Series:
    marks = texts.fillna("").str.strip().str.lower()
    if len(wrong := marks[~marks.isin(list(MARKS))]):
        raise ValueError(f"{path}: bold {wrong.iloc[0]!r} is neither 1 nor 0 (nor empty, which is 0)")
    return marks.map(MARKS).astype(bool)
