"""How much each open choice moves the metrics: effects paired by seed, their ranking, and distances.

Pure functions over frames; it knows no method, no data set and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from benchmark.inference import TEST_TO_TRAIN, without_rounding
from benchmark.score.metrics import METRICS
from benchmark.studies.ablate.contrasts import contrasts
from benchmark.studies.ablate.paired import (
    BASELINE,
    CONFIGURATION,
    ESTIMATE,
    SPREAD,
    TRAINING,
    by_seed,
    estimate,
    units_of,
)

EFFECT_COLUMNS = (*CONFIGURATION, "metric", "n_seeds", "n_pairs", *ESTIMATE, "reason")
DISTANCE_COLUMNS = (*CONFIGURATION, "distance", "farthest", "farthest_by", "reason")
MOST_COMBINED = 3
"""Factors of training that the final stage combines: 2^3 configurations."""


@dataclass(frozen=True)
class Findings:
    """What one stage of the study says."""

    effects: pd.DataFrame
    ranking: pd.DataFrame
    distances: pd.DataFrame
    contrasts: pd.DataFrame


def examine(
    values: pd.DataFrame,
    printed: pd.DataFrame,
    chosen: Sequence[tuple[str, str]] = (),
    spread: bool = True,
    test_to_train: float = TEST_TO_TRAIN,
) -> Findings:
    """Measure every configuration of a stage against its baseline.

    Parameters
    ----------
    values : DataFrame
        Columns `VALUE_COLUMNS`, with the rows of exactly one `BASELINE`.
    printed : DataFrame
        The paper's row: `metric`, `direction`, `centre` and `std`, one row per metric.
    chosen : sequence of (factor, level)
        Factors whose combinations are all among `values`; empty where single changes were made.
    spread : bool
        Whether to add the effect of `ddof` on the printed deviations.
    test_to_train : float
        n_test / n_train of the splits.
    """
    found = effects(values, printed, test_to_train)
    if spread:
        found = pd.concat([found, spread_effects(values, printed)], ignore_index=True)
    return Findings(
        effects=found,
        ranking=rank_factors(found),
        distances=distances(values, printed),
        contrasts=contrasts(values, printed, chosen, test_to_train),
    )


def effects(
    values: pd.DataFrame, printed: pd.DataFrame, test_to_train: float = TEST_TO_TRAIN
) -> pd.DataFrame:
    """Measure each configuration against the baseline, paired by seed.

    Parameters
    ----------
    values, printed, test_to_train
        As for `examine`.

    Returns
    -------
    DataFrame
        Columns `EFFECT_COLUMNS`, one row per configuration and metric. `difference` is configuration minus
        baseline, the mean over the `n_pairs` seeds that both finished, with its 95 % Nadeau-Bengio interval
        (nan from one pair). `effect` is the same in printed standard deviations, with its sign turned where
        a smaller metric is better: positive is better. `n_seeds` counts the seeds planned, and `reason`
        says why pairs lack.

    Raises
    ------
    ValueError
        If there is no baseline, a seed appears twice, or a printed deviation is not above 0.
    """
    units = units_of(printed).to_dict("index")
    baseline = values[values["kind"] == BASELINE]
    if baseline.empty:
        raise ValueError("no baseline among the values: an effect needs something to be measured against")
    base = by_seed(baseline)
    rows: list[dict[str, Any]] = []
    for key, part in values[values["kind"] != BASELINE].groupby(CONFIGURATION, sort=False):
        changed = by_seed(part)
        for metric in METRICS:
            differences = (changed[metric.id] - base[metric.id]).to_numpy(float)
            rows.append(
                {
                    **dict(zip(CONFIGURATION, key, strict=True)),
                    "metric": metric.id,
                    **estimate(differences, units[metric.id], test_to_train),
                    "reason": _why(part, metric.id) or _why(baseline, metric.id, "baseline: "),
                }
            )
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))


def spread_effects(values: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Return what `ddof` = 0 takes off the baseline's standard deviations, in printed ones.

    Columns `EFFECT_COLUMNS`. It moves no mean: `difference` is the deviation with ddof 0 minus that with
    ddof 1, and it follows from the number of seeds, so that it has no interval and its sign stays.
    """
    units = units_of(printed)["std"]
    base = by_seed(values[values["kind"] == BASELINE])
    rows = []
    for metric in METRICS:
        finished = base[metric.id].dropna()
        difference = float(finished.std(ddof=0) - finished.std(ddof=1)) if len(finished) > 1 else nan
        rows.append(
            {
                **dict(zip(CONFIGURATION, (SPREAD, "ddof", "0"), strict=True)),
                **{"metric": metric.id, "n_seeds": len(base), "n_pairs": len(finished), "reason": ""},
                **{"difference": difference, "effect": difference / units[metric.id]},
            }
        )
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))


def rank_factors(found: pd.DataFrame) -> pd.DataFrame:
    """Order factors by the largest absolute effect over their levels and the metrics.

    Parameters
    ----------
    found : DataFrame
        As `effects` returns it.

    Returns
    -------
    DataFrame
        One row per factor: columns of its strongest effect, `rank` from 1, `n_levels`, and `n_without`, the
        number of levels without any effect measured on two or more pairs. A factor with no such level comes
        last, with the effect and the rank nan.
    """
    measured = found["effect"].notna() & (found["n_pairs"] >= 2)
    rows = []
    for _, part in found.groupby(["kind", "factor"], sort=False):
        usable = part[measured[part.index]]
        strongest = 0 if usable.empty else int(without_rounding(usable["effect"].abs()).argmax())
        row: dict[Any, Any] = (part if usable.empty else usable).to_dict("records")[strongest]
        if usable.empty:
            row |= dict.fromkeys(ESTIMATE, nan) | {"level": "", "metric": ""}
        n_levels = part["level"].nunique()
        rows.append({**row, "n_levels": n_levels, "n_without": n_levels - usable["level"].nunique()})
    ranking = pd.DataFrame(rows, columns=[*EFFECT_COLUMNS, "n_levels", "n_without"])
    strength = pd.Series(without_rounding(ranking["effect"].abs()))
    order = strength.sort_values(ascending=False, kind="stable").index
    ranking = ranking.loc[order].reset_index(drop=True)
    ranks = pd.Series(np.arange(1, len(ranking) + 1, dtype=float))
    return ranking.assign(rank=ranks.where(ranking["effect"].notna()))


def largest(ranking: pd.DataFrame, most: int = MOST_COMBINED) -> pd.DataFrame:
    """Return the first rows of a ranking that are of training and have an effect."""
    return ranking[(ranking["kind"] == TRAINING) & ranking["effect"].notna()].head(most)


def distances(values: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Measure how far the means of each configuration, baseline included, lie from the printed row.

    Returns
    -------
    DataFrame
        Columns `DISTANCE_COLUMNS`, nearest first. `distance` is the root mean square over the metrics of
        (mean - `centre`) / `std`; `farthest` is the metric that differs most, by `farthest_by` deviations.
        Configurations with a seed or a metric missing have no distance (nan) and come last.
    """
    units = units_of(printed)
    rows: list[dict[str, Any]] = []
    for key, part in values.groupby(CONFIGURATION, sort=False):
        # skipna=False: a mean over the seeds that happened to finish is another configuration's rival.
        means = by_seed(part).mean(skipna=False)
        off = (means - units["centre"]) / units["std"]
        known = bool(off.notna().all())
        farthest = str(off.abs().idxmax()) if known else ""
        rows.append(
            {
                **dict(zip(CONFIGURATION, key, strict=True)),
                "distance": sqrt(float((off**2).mean())) if known else nan,
                "farthest": farthest,
                "farthest_by": float(off[farthest]) if known else nan,
                "reason": "" if known else _first(part["reason"]) or "a metric is undefined",
            }
        )
    frame = pd.DataFrame(rows, columns=list(DISTANCE_COLUMNS))
    return frame.sort_values("distance", kind="stable").reset_index(drop=True)


def _why(part: pd.DataFrame, metric: str, prefix: str = "") -> str:
    lacking = part[(part["metric"] == metric) & part["value"].isna()]
    first = _first(lacking["reason"])
    return prefix + first if first else ""


def _first(reasons: pd.Series) -> str:
    return next((str(text) for text in reasons if text), "")
