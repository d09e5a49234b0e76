"""From records to the frame of values: jobs as they are, and the baseline's scores read in other ways.

What acts after training (threshold rule, hard scores, convention) is read again from stored scores. It judges
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import isnan, nan
from typing import Any, cast

import numpy as np
import pandas as pd

from benchmark.contracts import Array, MethodSpec, Record, Scoring
from benchmark.score.conventions import CONVENTIONS, LAMDA, MULAN, SKLEARN, SUITE, metrics_under
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.score.thresholds import RULES
from benchmark.studies.ablate.configurations import ConfigurationKey
from benchmark.studies.ablate.paired import AFTER_TRAINING, BASELINE, CONFIGURATION, VALUE_COLUMNS
from benchmark.tables.conventions import SCORINGS

MetricsAndReason = tuple[Mapping[str, float], str]
"""Metrics, and why those that are absent or nan have no value."""
THRESHOLD, SCORING, CONVENTION = "threshold", "scoring", "convention"
FACTORS_AFTER_TRAINING: Mapping[str, tuple[str, ...]] = {
    THRESHOLD: RULES,
    SCORING: SCORINGS,
    CONVENTION: tuple(convention.id for convention in (SUITE, SKLEARN, MULAN, LAMDA)),
}
"""Their levels by name; of the conventions those that the paper may have followed."""
NO_RECORD = "no readable record"


def collect_values(
    entries: Iterable[tuple[Record, Mapping[str, Array]]],
    configurations: Mapping[str, ConfigurationKey],
    seeds: Sequence[int],
    base: MethodSpec,
    after_training: Collection[str] = (),
) -> pd.DataFrame:
    """Return the metrics of every configuration and seed.

    Parameters
    ----------
    entries : iterable of (Record, arrays)
        Of one data set; consumed once.
    configurations : mapping
        A record's method to its configuration, of which one is a `BASELINE`.
    seeds : sequence of int
        All that were planned.
    base : MethodSpec
        Whose scoring and threshold rule read every configuration.
    after_training : collection of str
        Names in `FACTORS_AFTER_TRAINING` by which the baseline's records are read too, one at a time.

    Returns
    -------
    DataFrame
        Columns `VALUE_COLUMNS`, a row per configuration, planned seed and metric. Failed and
        absent jobs, rules that a record does not allow, and undefined metrics are nan, with a reason.
    """
    others = keys_after_training(base, after_training)
    found: dict[ConfigurationKey, dict[int, MetricsAndReason]]
    found = {key: {} for key in (*configurations.values(), *others)}
    for record, arrays in entries:
        key = configurations[record.method]
        for one in (key, *(others if key[0] == BASELINE else ())):
            found[one][record.seed] = _read(one, record, arrays, base)
    rows = [
        row
        for key, by_seed in found.items()
        for seed in seeds
        for row in _rows(key, seed, *by_seed.get(seed, ({}, NO_RECORD)))
    ]
    return pd.DataFrame(rows, columns=list(VALUE_COLUMNS))


def fill_measured(
    values: pd.DataFrame, measured: Mapping[tuple[ConfigurationKey, int], Mapping[str, float]]
) -> pd.DataFrame:
    """Return `collect_values` with metrics that are known without a record, by configuration and seed."""
    if not measured:
        return values
    keys = [
        ((kind, factor, level), int(seed))
        for kind, factor, level, seed in values[[*CONFIGURATION, "seed"]].itertuples(index=False)
    ]
    metrics = zip(keys, values["metric"], strict=True)
    known = pd.Series([measured.get(key, {}).get(metric, nan) for key, metric in metrics], index=values.index)
    take = values["value"].isna() & known.notna()
    return values.assign(value=values["value"].where(~take, known), reason=values["reason"].where(~take, ""))


def metrics_of_jobs(
    values: pd.DataFrame, configurations: Mapping[str, ConfigurationKey]
) -> dict[tuple[str, int], dict[str, float]]:
    """Return the values by record's method and seed; what is nan is left out."""
    methods = {key: method for method, key in configurations.items()}
    found: dict[tuple[str, int], dict[str, float]] = {}
    for row in values[values["value"].notna()].to_dict("records"):
        key = (row["kind"], row["factor"], row["level"])
        if key in methods:
            found.setdefault((methods[key], int(row["seed"])), {})[row["metric"]] = row["value"]
    return found


def keys_after_training(base: MethodSpec, factors: Collection[str]) -> tuple[ConfigurationKey, ...]:
    """Return each level of chosen `FACTORS_AFTER_TRAINING` other than the one that reads the baseline."""
    own = {THRESHOLD: base.threshold, SCORING: base.scoring, CONVENTION: SUITE.id}
    return tuple(
        (AFTER_TRAINING, factor, level)
        for factor, levels in FACTORS_AFTER_TRAINING.items()
        if factor in factors
        for level in levels
        if level != own[factor]
    )


def _read(
    key: ConfigurationKey, record: Record, arrays: Mapping[str, Array], base: MethodSpec
) -> MetricsAndReason:
    """Read one record as a configuration asks for."""
    if record.status != "done":
        return {}, f"{record.status}: {_last_line(record.error)}"
    kind, factor, level = key
    used = {THRESHOLD: base.threshold, SCORING: base.scoring, CONVENTION: SUITE.id}
    if kind == AFTER_TRAINING:
        used[factor] = level
    try:
        reading = read_scores(arrays, cast("Scoring", used[SCORING]), used[THRESHOLD])
    except ValueError as error:  # a rule that these scores do not allow: part of the report
        return {}, f"refused: {error}"
    if used[CONVENTION] == SUITE.id:
        return reading.metrics, "undefined on this test set"
    asked = reading.predictions if used[SCORING] == "hard" else arrays["scores"]
    scores = np.asarray(asked, np.float32)
    convention = CONVENTIONS[used[CONVENTION]]
    metrics = metrics_under(convention, arrays["labels"], scores, reading.predictions)
    return metrics, f"undefined under {convention.title}'s rules"


def _rows(
    key: ConfigurationKey, seed: int, metrics: Mapping[str, float], reason: str
) -> list[dict[str, Any]]:
    kind, factor, level = key
    rows = []
    for metric in METRICS:
        value = metrics.get(metric.id, nan)
        why = reason if isnan(value) else ""
        rows.append(
            {"kind": kind, "factor": factor, "level": level, "seed": seed}
            | {"metric": metric.id, "value": value, "reason": why}
        )
    return rows


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
