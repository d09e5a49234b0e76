"""The 300 printed cells of Tables II and III as one frame; it must not know a result of ours."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.tables.printed import read_printed

PAPER_SEEDS = 10
"""'we repeat experiment ten times' (section IV-A)."""
TABLE3_DATASET = "ml2000"
CELL = ["dataset", "method", "metric"]
DECIMALS = 3
"""Of both tables; a few means are printed with two, and the zeros of MSRA's SubAcc without any."""


def read_cells(folder: Path) -> pd.DataFrame:
    """Read both tables.

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
        texts = pd.read_csv(path, dtype=str)["mean"]
        frames.append(read_printed(path, dataset).assign(table=table, unit=texts.map(unit_of).to_numpy()))
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
