"""Reads what the paper says, its printed cells, margins and claims; it must not know a result of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_any_real_numeric_dtype

from benchmark.paper.margins import COLUMNS as MARGIN_COLUMNS
from benchmark.run.config import ConfigError
from benchmark.tables.names import TABLE3_DATASET
from benchmark.tables.printed import read_printed
from benchmark.untrusted import read_table, read_toml

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"
PAPER_SEEDS = 10
"""'we repeat experiment ten times' (section IV-A)."""
CELL = ["dataset", "method", "metric"]
DECIMALS = 3
"""Of both tables; a few means are printed with two, and the zeros of MSRA's SubAcc without any."""


@dataclass(frozen=True)
class Paper:
    """What is to be reproduced."""

    cells: pd.DataFrame
    """See `read_cells`."""
    margins: pd.DataFrame
    """See `read_margins`."""
    claims: Sequence[Mapping[str, Any]]
    """Tables of the claims file."""


def read_paper(folder: Path = PAPER) -> Paper:
    """Read `table2.csv`, `table3.csv`, `margins.csv` and `claims.toml`.

    Raises
    ------
    ConfigError, ValueError
        If one of them is not as expected.
    """
    margins = read_margins(folder / "margins.csv")
    return Paper(read_cells(folder), margins, read_claims(folder / "claims.toml"))


def read_cells(folder: Path) -> pd.DataFrame:
    """Read the 300 cells of both tables.

    Parameters
    ----------
    folder : Path
        `results/paper`, with `table2.csv` and `table3.csv`.

    Returns
    -------
    DataFrame
        One row per printed cell: `table` (II or III), `dataset`, `method`, `metric`, `direction`, `mean`,
        `std`, `bold`, `unit` (of the mean's last digit), `centre` (the mean shifted by half a unit, since the
        printed means look truncated) and `repeats` (True where Table III repeats a cell of Table II; it
        counts once).

    Raises
    ------
    ValueError
        If a table is not as expected.
    """
    frames = []
    for table, name, dataset in (("II", "table2.csv", None), ("III", "table3.csv", TABLE3_DATASET)):
        path = folder / name
        frame = read_printed(path, dataset)
        texts = read_table(path, dtype=str)["mean"]
        numbers = [frame[name] for name in ("mean", "std")]
        if not all(is_any_real_numeric_dtype(one) and np.isfinite(one).all() for one in numbers):
            raise ValueError(f"{path}: a mean or a standard deviation is no number; correct the table")
        frames.append(frame.assign(table=table, unit=texts.map(unit_of).to_numpy()))
    cells = pd.concat(frames, ignore_index=True)
    return cells.assign(centre=cells["mean"] + cells["unit"] / 2, repeats=cells.duplicated(CELL))[
        ["table", *CELL, "direction", "mean", "std", "bold", "unit", "centre", "repeats"]
    ]


def unit_of(text: str) -> float:
    """Return the unit of a printed number's last digit: 0.001 for 0.793, 0.01 for 16.15.

    A number without decimals is one of MSRA's `0±0` and taken as 0.000.
    """
    _, point, decimals = text.strip().partition(".")
    return float(10.0 ** -(len(decimals) if point else DECIMALS))


def read_margins(path: Path) -> pd.DataFrame:
    """Read the data file that fixes how close counts as reproduced.

    Raises
    ------
    ValueError
        If columns are missing, a cell appears twice or a margin is no number above 0.
    """
    try:
        frame = read_table(path, dtype=str)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as CSV ({error}); write the file again") from error
    if missing := set(MARGIN_COLUMNS) - set(frame.columns):
        raise ValueError(
            f"{path}: expected the columns {', '.join(MARGIN_COLUMNS)}, {', '.join(sorted(missing))} missing"
        )
    if frame.duplicated(["dataset", "metric"]).any():
        raise ValueError(f"{path}: a cell appears twice; write the file again")
    margins = pd.to_numeric(frame["margin"], errors="coerce")
    if len(wrong := frame[~(margins > 0) | (margins == inf)]):
        dataset, metric, margin = wrong.iloc[0][["dataset", "metric", "margin"]]
        raise ValueError(f"{path}: the margin {margin} of {metric} on {dataset} is no number above 0")
    numbers = {"margin": margins, "median_std": pd.to_numeric(frame["median_std"], errors="coerce")}
    return frame.assign(**numbers)[list(MARGIN_COLUMNS)]


def read_claims(path: Path) -> list[Mapping[str, Any]]:
    """Read the tables of a claims file.

    Raises
    ------
    ConfigError
        If it is not TOML, or holds no `[[claim]]`.
    """
    try:
        content = read_toml(path)
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    claims = content.get("claim")
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise ConfigError(f"{path} holds no [[claim]]")
    return list(content["claim"])
