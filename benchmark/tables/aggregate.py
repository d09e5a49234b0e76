"""From one number per seed to mean, deviation and median per cell; it must not know what a metric means."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np
import pandas as pd

PER_SEED_COLUMNS = (
    "dataset",
    "method",
    "seed",
    "metric",
    "value",
    "provenance",
    "profile",
    "preset",
    "threshold",
    "scoring",
    "status",
    "config_hash",
    "data_hash",
    "score_digest",
)
"""The long frame: one row per data set, method, seed and metric; failed jobs have the value nan."""
AGGREGATE_COLUMNS = (
    "dataset",
    "method",
    "metric",
    "mean",
    "std",
    "median",
    "n_seeds",
    "n_failed",
    "provenance",
    "profile",
    "preset",
    "threshold",
    "scoring",
)
CELL = ("dataset", "method", "metric", "threshold", "scoring")
"""What one mean is of: one reading of one method on one data set."""
UNIFORM = ("provenance", "profile", "preset")
"""What all seeds of a cell must have in common; numbers that differ in it are never averaged."""


def aggregate(per_seed: pd.DataFrame, extra: Sequence[str] = ()) -> pd.DataFrame:
    """Average over seeds.

    Parameters
    ----------
    per_seed : DataFrame
        Columns `PER_SEED_COLUMNS` (of which the hashes and the digest are not needed) and `extra`.
    extra : sequence of str
        Further columns that tell cells apart, such as the decoding step.

    Returns
    -------
    DataFrame
        Columns `AGGREGATE_COLUMNS`, those of `extra` after `method`; cells in the order in which they
        first appear. `mean`, `std` (sample standard deviation, ddof=1) and `median` are over the
        `n_seeds` finished seeds; `n_failed` counts those that failed or timed out. `std` is nan for one
        seed. A metric that is undefined for one finished seed is undefined (nan) for the cell.

    Raises
    ------
    ValueError
        If a seed appears twice in a cell, or seeds of a cell differ in provenance, profile or preset.
    """
    keys = [*CELL, *extra]
    _check(per_seed, keys)
    done = per_seed[per_seed["status"] == "done"].sort_values("seed", kind="stable")
    values = done.groupby(keys, sort=False)["value"]
    # pandas' own mean of a group differs in its last bits with whether another group misses a value, and so,
    # where a mean ends in an exact half, the digit that is printed.
    statistics = values.agg([exact_mean, "std", "median"]).rename(columns={exact_mean.__name__: "mean"})
    undefined = done["value"].isna().groupby([done[key] for key in keys], sort=False).any()
    statistics = statistics.mask(undefined, np.nan)
    # All cells in the order in which they first appear, those whose seeds all failed included.
    cells = per_seed.groupby(keys, sort=False).agg(
        n_rows=("seed", "size"), **{name: (name, "first") for name in UNIFORM}
    )
    cells = cells.join(statistics).assign(n_seeds=values.size())
    cells["n_seeds"] = cells["n_seeds"].fillna(0).astype(int)
    cells["n_failed"] = cells["n_rows"] - cells["n_seeds"]
    return cells.reset_index()[[*AGGREGATE_COLUMNS[:2], *extra, *AGGREGATE_COLUMNS[2:]]]


def exact_mean(values: pd.Series) -> float:
    """Return the mean by a correctly rounded sum: the same wherever it is computed, in any order."""
    return fsum(values) / len(values)


def _check(per_seed: pd.DataFrame, keys: list[str]) -> None:
    repeated = per_seed[per_seed.duplicated([*keys, "seed"])]
    if len(repeated):
        where = ", ".join(str(value) for value in repeated.iloc[0][keys])
        seed = repeated.iloc[0]["seed"]
        raise ValueError(f"seed {seed} appears twice in the cell ({where}); keep one record per seed")
    for name in UNIFORM:
        kinds = per_seed[[*keys, name]].drop_duplicates()
        mixed = kinds[kinds.duplicated(keys, keep=False)]
        if len(mixed):
            first = mixed[(mixed[keys] == mixed.iloc[0][keys]).all(axis=1)]
            where = ", ".join(str(value) for value in mixed.iloc[0][keys])
            kinds_there = ", ".join(map(str, first[name]))
            raise ValueError(f"the cell ({where}) mixes {name} {kinds_there}; aggregate them separately")
