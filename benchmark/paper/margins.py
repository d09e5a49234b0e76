"""How close counts as reproduced, from the printed deviations alone; it must not know a result of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

SCORE_PRODUCING = ("DMP", "CS3G", "MCC", "M3LA")
"""The full methods that the paper scored from soft outputs: BR and CC were scored from 0/1 predictions, whose
deviations say nothing of a score, and the ablations' deviations look like one failed run in ten."""
FACTOR = 1.5
FLOORS: Mapping[str, float] = {"coverage": 0.02}
"""Metrics that are not shares."""
FLOOR = 0.005
COLUMNS = ("dataset", "metric", "median_std", "margin")


def make_margins(table2: pd.DataFrame, methods: Sequence[str] = SCORE_PRODUCING) -> pd.DataFrame:
    """Return the margin of each data set and metric: `FACTOR` median printed deviations, or the floor.

    `results/paper/margins.csv` holds them, so that no change here moves a verdict unseen.

    Parameters
    ----------
    table2 : DataFrame
        As `benchmark.tables.printed.read_printed` returns it.
    methods : sequence of str
        Rows whose deviations count.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, in the order in which cells first appear.

    Raises
    ------
    ValueError
        If a method lacks a cell.
    """
    rows = table2[table2["method"].isin(list(methods))]
    cells = rows.groupby(["dataset", "metric"], sort=False)["std"]
    short = cells.size()[cells.size() != len(methods)]
    if len(short):
        raise ValueError(f"{short.index[0]}: {short.iloc[0]} of the deviations of {', '.join(methods)}")
    frame = cells.median().rename("median_std").reset_index()
    floors = frame["metric"].map(lambda metric: FLOORS.get(metric, FLOOR))
    # Ten decimals: 1.5 times a median of two printed numbers has at most five, the rest is binary noise.
    margin = (FACTOR * frame["median_std"]).round(10).where(lambda value: value > floors, floors)
    return frame.assign(median_std=frame["median_std"].round(10), margin=margin)[list(COLUMNS)]
