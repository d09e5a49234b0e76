"""Turns frames with one row per metric into tables with a column per metric, for files, and back."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.score.metrics import METRICS

METRIC_COLUMNS = tuple(metric.id for metric in METRICS)


def widen(long: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per combination of `keys`, a column per metric.

    Parameters
    ----------
    long : DataFrame
        `keys`, `metric` and `value`, each combination once.
    keys : sequence of str
        `dataset` and `method` first: rows keep the order in which these appear, and are sorted by the others.
    """
    wide = long.pivot(index=list(keys), columns="metric", values="value").reset_index()
    pairs = long[["dataset", "method"]].drop_duplicates().itertuples(index=False, name=None)
    place = {pair: number for number, pair in enumerate(pairs)}
    wide["place"] = [place[pair] for pair in zip(wide["dataset"], wide["method"], strict=True)]
    wide = wide.sort_values(["place", *keys[2:]], kind="stable")
    return wide.reindex(columns=[*keys, *METRIC_COLUMNS]).reset_index(drop=True)


def lengthen(wide: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Undo `widen`; metrics that the table lacks are left out."""
    metrics = [name for name in METRIC_COLUMNS if name in wide.columns]
    return wide.melt(id_vars=list(keys), value_vars=metrics, var_name="metric", value_name="value")
