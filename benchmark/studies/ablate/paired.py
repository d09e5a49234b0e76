"""The frame of values that the study is made of, and one difference paired by seed, in printed deviations.

Pure functions over frames; it knows no method, no data set and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import Array
from benchmark.inference import corrected_paired
from benchmark.score.metrics import METRICS

BASELINE, TRAINING, COMBINATION = "baseline", "training", "combination"
"""Kinds of configurations that are trained: with no change, one, and several."""
AFTER_TRAINING, SPREAD = "after training", "printed deviation"
"""Kinds that read the baseline again: its scores, and the deviation over its seeds."""
CONFIGURATION = ["kind", "factor", "level"]
VALUE_COLUMNS = (*CONFIGURATION, "seed", "metric", "value", "reason")
"""One row per configuration, seed and metric; `value` is nan where there is none, and `reason` says why."""
ESTIMATE = ("difference", "low", "high", "p_value", "effect", "effect_low", "effect_high")
"""A mean difference with its 95 % interval, and the same in printed deviations."""
JOINT = " + "
"""Between the factors, and between the levels, of a configuration with several changes."""
ROUNDING = 1e-12
"""Differences below this are sums of rounding errors, of numbers that are equal."""


def by_seed(values: pd.DataFrame) -> pd.DataFrame:
    """Return the values of one configuration: one row per seed, one column per metric."""
    seeds = values.pivot(index="seed", columns="metric", values="value")
    return seeds.reindex(columns=[metric.id for metric in METRICS])


def units_of(printed: pd.DataFrame) -> pd.DataFrame:
    """Return `centre`, `std` and `sign` (+1 where larger is better) of the printed row, by metric.

    Raises
    ------
    ValueError
        If a printed deviation is absent or not above 0.
    """
    units = printed.set_index("metric")[["direction", "centre", "std"]].reindex(
        [metric.id for metric in METRICS]
    )
    wrong = units.index[~(units["std"] > 0)]
    if len(wrong):
        raise ValueError(f"{', '.join(wrong)}: no printed standard deviation above 0 to measure effects with")
    return units.assign(sign=units["direction"].map({"up": 1.0, "down": -1.0}))


def estimate(differences: Array, unit: Mapping[Any, Any], test_to_train: float) -> dict[str, Any]:
    """Return the mean of paired differences with its interval, also in printed deviations.

    Parameters
    ----------
    differences : (number of seeds,) floats, nan where a seed makes no pair.
    unit : `sign` and `std` of the metric.
    test_to_train : n_test / n_train of the splits.

    Returns
    -------
    dict
        `n_seeds`, `n_pairs` and `ESTIMATE`, of which nan is what needs more pairs: one for the difference,
        two for the interval.
    """
    pairs = differences[np.isfinite(differences)]
    pairs = np.where(np.abs(pairs) < ROUNDING, 0.0, pairs)
    mean, low, high, p_value = nan, nan, nan, nan
    if len(pairs) == 1:
        mean = float(pairs[0])
    elif len(pairs) > 1:
        test = corrected_paired(pairs, test_to_train)
        mean, (low, high), p_value = test.difference, test.interval(), test.p_value
    scale = float(unit["sign"]) / float(unit["std"])
    ends = (low * scale, high * scale)
    scaled = (mean * scale, min(ends), max(ends))
    counts = {"n_seeds": len(differences), "n_pairs": len(pairs)}
    return counts | dict(zip(ESTIMATE, (mean, low, high, p_value, *scaled), strict=True))
