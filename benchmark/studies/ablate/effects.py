"""How much each open choice moves the metrics: paired effects, their ranking and their interactions.

Pure functions over frames; it knows no method, no data set and no file.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import Array
from benchmark.inference import TEST_TO_TRAIN, corrected_paired
from benchmark.score.metrics import METRICS

BASELINE, TRAINING, COMBINATION = "baseline", "training", "combination"
READING, SPREAD = "after training", "printed deviation"
CONFIGURATION = ["kind", "factor", "level"]
VALUE_COLUMNS = (*CONFIGURATION, "seed", "metric", "value", "reason")
"""One row per configuration, seed and metric; `value` is nan where there is none, and `reason` says why."""
MEASURED = ("difference", "low", "high", "p_value", "effect", "effect_low", "effect_high")
EFFECT_COLUMNS = (*CONFIGURATION, "metric", "n_seeds", "n_pairs", *MEASURED, "reason")
CONTRAST_COLUMNS = ("term", "n_factors", "metric", "n_seeds", "n_pairs", *MEASURED)
DISTANCE_COLUMNS = (*CONFIGURATION, "distance", "farthest", "farthest_by", "reason")
FACTORS_RANKED = 3
ROUNDING = 1e-12
"""Differences below this are sums of rounding errors, of numbers that are equal."""
JOINT = " + "
"""Between the factors, and between the levels, of a configuration with several changes."""
TIMES = " × "
"""Between the factors of an interaction."""


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
    units = _by_metric(printed)
    baseline = values[values["kind"] == BASELINE]
    if baseline.empty:
        raise ValueError("no baseline among the values: an effect needs something to be measured against")
    base = _by_seed(baseline)
    rows: list[dict[str, Any]] = []
    for key, part in values[values["kind"] != BASELINE].groupby(CONFIGURATION, sort=False):
        changed = _by_seed(part)
        for metric in METRICS:
            differences = (changed[metric.id] - base[metric.id]).to_numpy(float)
            rows.append(
                {
                    **dict(zip(CONFIGURATION, key, strict=True)),
                    "metric": metric.id,
                    **_measure(differences, units[metric.id], test_to_train),
                    "reason": _why(part, metric.id) or _why(baseline, metric.id, "baseline: "),
                }
            )
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS))


def spread_effects(values: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Return what `ddof` = 0 takes off the baseline's standard deviations, in printed ones.

    Columns `EFFECT_COLUMNS`. It moves no mean: `difference` is the deviation with ddof 0 minus that with
    ddof 1, and it follows from the number of seeds, so that it has no interval and its sign stays.
    """
    units = _by_metric(printed)
    base = _by_seed(values[values["kind"] == BASELINE])
    rows = []
    for metric in METRICS:
        finished = base[metric.id].dropna()
        difference = float(finished.std(ddof=0) - finished.std(ddof=1)) if len(finished) > 1 else nan
        rows.append(
            {
                **dict(zip(CONFIGURATION, (SPREAD, "ddof", "0"), strict=True)),
                **{"metric": metric.id, "n_seeds": len(base), "n_pairs": len(finished), "reason": ""},
                **{"difference": difference, "effect": difference / units[metric.id]["std"]},
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
        strongest = 0 if usable.empty else int(np.argmax(usable["effect"].abs()))
        row: dict[Any, Any] = (part if usable.empty else usable).to_dict("records")[strongest]
        if usable.empty:
            row |= dict.fromkeys(MEASURED, nan) | {"level": "", "metric": ""}
        n_levels = part["level"].nunique()
        rows.append({**row, "n_levels": n_levels, "n_without": n_levels - usable["level"].nunique()})
    ranking = pd.DataFrame(rows, columns=[*EFFECT_COLUMNS, "n_levels", "n_without"])
    order = ranking["effect"].astype(float).abs().sort_values(ascending=False, kind="stable").index
    ranking = ranking.loc[order].reset_index(drop=True)
    ranks = pd.Series(np.arange(1, len(ranking) + 1, dtype=float))
    return ranking.assign(rank=ranks.where(ranking["effect"].notna()))


def largest(ranking: pd.DataFrame, kind: str = TRAINING, most: int = FACTORS_RANKED) -> pd.DataFrame:
    """Return the first rows of a ranking that are of one kind and have an effect."""
    return ranking[(ranking["kind"] == kind) & ranking["effect"].notna()].head(most)


def distances(values: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Measure how far the means of each configuration, baseline included, lie from the printed row.

    Returns
    -------
    DataFrame
        Columns `DISTANCE_COLUMNS`, nearest first. `distance` is the root mean square over the metrics of
        (mean - `centre`) / `std`; `farthest` is the metric that differs most, by `farthest_by` deviations.
        Configurations with a seed or a metric missing have no distance (nan) and come last.
    """
    units = _units(printed)
    rows: list[dict[str, Any]] = []
    for key, part in values.groupby(CONFIGURATION, sort=False):
        # skipna=False: a mean over the seeds that happened to finish is another configuration's rival.
        means = _by_seed(part).mean(skipna=False)
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


def contrasts(
    values: pd.DataFrame,
    printed: pd.DataFrame,
    chosen: Sequence[tuple[str, str]],
    test_to_train: float = TEST_TO_TRAIN,
) -> pd.DataFrame:
    """Return main effects and interactions of a full 2^k factorial, paired by seed.

    Parameters
    ----------
    values, printed : DataFrame
        As for `examine`; `values` hold the baseline and every combination of `chosen`, as
        `benchmark.studies.ablate.configurations.factorial` names them.
    chosen : sequence of (factor, level)
        The k factors with the level that each was changed to.
    test_to_train : float
        As for `examine`.

    Returns
    -------
    DataFrame
        Columns `CONTRAST_COLUMNS`, one row per non-empty subset of factors and metric. A seed's contrast is
        the sum of its 2^k values, each with the product of its factors' signs (+1 changed, -1 not), over
        2^(k-1): for one factor its effect averaged over the others, for two half the change of one's effect
        by the other. A seed that lacks one of the 2^k values does not enter.

    Raises
    ------
    ValueError
        If a combination is absent.
    """
    if not chosen:
        return pd.DataFrame(columns=list(CONTRAST_COLUMNS))
    units = _by_metric(printed)
    changed = [set(subset) for size in range(len(chosen) + 1) for subset in _subsets(len(chosen), size)]
    cells = [_cell(values, [chosen[k] for k in sorted(on)]) for on in changed]
    rows: list[dict[str, Any]] = []
    for size in range(1, len(chosen) + 1):
        for subset in _subsets(len(chosen), size):
            signs = [(-1.0) ** len(set(subset) - on) for on in changed]
            for metric in METRICS:
                weighted = [sign * cell[metric.id] for sign, cell in zip(signs, cells, strict=True)]
                summed = pd.concat(weighted, axis=1).sum(axis=1, skipna=False) / 2 ** (len(chosen) - 1)
                rows.append(
                    {
                        "term": TIMES.join(chosen[k][0] for k in subset),
                        "n_factors": size,
                        "metric": metric.id,
                        **_measure(summed.to_numpy(float), units[metric.id], test_to_train),
                    }
                )
    return pd.DataFrame(rows, columns=list(CONTRAST_COLUMNS))


def _subsets(k: int, size: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations(range(k), size))


def _cell(values: pd.DataFrame, on: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return seed by metric of the configuration with exactly these changes."""
    factor, level = (JOINT.join(part) for part in zip(*on, strict=True)) if on else ("", "")
    # Readings after training share no name with factors of training.
    part = values[(values["factor"] == factor) & (values["level"] == level) & (values["kind"] != READING)]
    if part.empty:
        raise ValueError(f"the combination {factor} = {level} is absent, so its factors have no contrasts")
    return _by_seed(part)


def _by_seed(part: pd.DataFrame) -> pd.DataFrame:
    """Return one row per seed, one column per metric."""
    wide = part.pivot(index="seed", columns="metric", values="value")
    return wide.reindex(columns=[metric.id for metric in METRICS])


def _units(printed: pd.DataFrame) -> pd.DataFrame:
    """Return the printed row by metric, each with a sign: +1 where larger is better."""
    units = printed.set_index("metric")[["direction", "centre", "std"]].reindex(
        [metric.id for metric in METRICS]
    )
    wrong = units.index[~(units["std"] > 0)]
    if len(wrong):
        raise ValueError(f"{', '.join(wrong)}: no printed standard deviation above 0 to measure effects with")
    return units.assign(sign=units["direction"].map({"up": 1.0, "down": -1.0}))


def _by_metric(printed: pd.DataFrame) -> Mapping[Any, Mapping[Any, Any]]:
    return _units(printed).to_dict("index")


def _measure(differences: Array, unit: Mapping[Any, Any], test_to_train: float) -> dict[str, Any]:
    """Return the mean of paired differences with its interval, also in printed deviations."""
    paired = differences[np.isfinite(differences)]
    paired = np.where(np.abs(paired) < ROUNDING, 0.0, paired)
    counts = {"n_seeds": len(differences), "n_pairs": len(paired)}
    mean, low, high, p_value = nan, nan, nan, nan
    if len(paired) == 1:
        mean = float(paired[0])
    elif len(paired) > 1:
        test = corrected_paired(paired, test_to_train)
        mean, (low, high), p_value = test.difference, test.interval(), test.p_value
    scale = float(unit["sign"]) / float(unit["std"])
    ends = (low * scale, high * scale)
    scaled = {"effect": mean * scale, "effect_low": min(ends), "effect_high": max(ends)}
    return {**counts, "difference": mean, "low": low, "high": high, "p_value": p_value, **scaled}


def _why(part: pd.DataFrame, metric: str, prefix: str = "") -> str:
    lacking = part[(part["metric"] == metric) & part["value"].isna()]
    first = _first(lacking["reason"])
    return prefix + first if first else ""


def _first(reasons: pd.Series) -> str:
    return next((str(text) for text in reasons if text), "")
