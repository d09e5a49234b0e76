"""Every record under every convention of the metrics, with soft and with hard scores; it touches no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import Array, MethodSpec, Record, Scoring
from benchmark.score.conventions import CONVENTIONS, metrics_under
from benchmark.score.reading import read_scores
from benchmark.tables.aggregate import AGGREGATE_COLUMNS, PER_SEED_COLUMNS, aggregate

COLUMNS = (*AGGREGATE_COLUMNS[:2], "convention", *AGGREGATE_COLUMNS[2:])
SCORINGS: tuple[Scoring, ...] = ("soft", "hard")


def under_conventions(
    entries: Iterable[tuple[Record, Mapping[str, Array]]], methods: Sequence[MethodSpec]
) -> pd.DataFrame:
    """Read records under all of `CONVENTIONS` and both scorings, and average over seeds.

    Parameters
    ----------
    entries : iterable of (Record, arrays)
        Of one profile, one per (data set, method, seed); consumed once. Jobs that failed are left out.
    methods : sequence of MethodSpec
        The registry; a method's threshold rule and preset are taken from here, the record's own serve
        methods that are no longer registered.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`: mean, deviation and median per data set, method, scoring, convention and metric;
        nan where the convention leaves a metric undefined for any seed.
    """
    specs = {spec.id: spec for spec in methods}
    rows: list[dict[str, Any]] = []
    for record, arrays in entries:
        if record.status == "done":
            spec = specs.get(record.method)
            rule, preset = (spec.threshold, spec.preset) if spec else (record.threshold, record.preset)
            rows += _rows(record, arrays, rule, preset)
    frame = pd.DataFrame(rows, columns=[*PER_SEED_COLUMNS, "convention"])
    known = {name: k for k, name in enumerate(specs)}  # others come last, in their order
    frame = frame.sort_values("method", key=lambda names: names.map(known).fillna(len(known)), kind="stable")
    return aggregate(frame, extra=("convention",))[list(COLUMNS)]


def _rows(record: Record, arrays: Mapping[str, Array], rule: str, preset: str) -> list[dict[str, Any]]:
    shared = {
        **{name: getattr(record, name) for name in ("dataset", "method", "seed", "profile", "status")},
        "provenance": str(record.provenance),
        "preset": preset,
        "threshold": rule,
    }
    predictions = read_scores(arrays, "soft", rule).predictions
    scores = np.asarray(arrays["scores"], np.float32)
    rows = []
    for scoring in SCORINGS:
        used = predictions.astype(np.float32) if scoring == "hard" else scores
        for convention in CONVENTIONS.values():
            values = metrics_under(convention, arrays["labels"], used, predictions)
            key = {**shared, "scoring": scoring, "convention": convention.id}
            rows += [{**key, "metric": metric, "value": value} for metric, value in values.items()]
    return rows
