"""Every record under every convention of the metrics, with soft and with hard scores; it writes no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import MethodSpec, Record, Scoring
from benchmark.inference import without_rounding
from benchmark.run.bench import Bench, Inventory
from benchmark.score.conventions import CONVENTIONS, LIBMULTILABEL, SUITE, metrics_under
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.tables.aggregate import AGGREGATE_COLUMNS, PER_SEED_COLUMNS, aggregate
from benchmark.tables.markdown import pipe_table
from benchmark.tables.names import dataset_title, method_title, metric_heading, rule_title
from benchmark.tables.results import Arrays, Entries, Rows

COLUMNS = (*AGGREGATE_COLUMNS[:2], "convention", *AGGREGATE_COLUMNS[2:])
SCORINGS: tuple[Scoring, ...] = ("soft", "hard")
SAME = "="
UNDEFINED = "–"
TEXT = (
    f"Mean over seeds of the same scores, labels and predictions under each convention. `{SAME}`: as in the "
    f"row '{SUITE.title}' above it, but for rounding; `{UNDEFINED}`: undefined, because the library has no "
    "such measure, divides by zero, or returns nan on rows or labels with one class. Hard: scores are "
    f"replaced by the 0/1 predictions. {LIBMULTILABEL.title} takes no predictions: its F1 is of scores above "
    "0. A star marks how the method is read in our tables. Sources and rules: "
    "`benchmark/score/conventions.py`."
)


def conventions_of(bench: Bench, inventory: Inventory) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read every current finished record under all of `CONVENTIONS` and both scorings.

    Returns
    -------
    summary, unreadable
        As `average`, and a message for each record whose scores could not be read.
    """
    entries, methods = Entries(inventory, bench.store), bench.registry.methods
    rows = entries.read(lambda record, arrays: rows_of(record, arrays, methods[record.method]))
    return average(rows, tuple(methods)), tuple(entries.unreadable)


def average(records: Iterable[Rows], methods: Sequence[str]) -> pd.DataFrame:
    """Average the rows of records, as `rows_of` makes them, over seeds.

    Parameters
    ----------
    records : iterable of rows
        Of one profile, one per (data set, method, seed).
    methods : sequence of str
        All ids, in the order of the rows to come.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`: mean, deviation and median per data set, method, scoring, convention and metric;
        nan where the convention leaves a metric undefined for any seed.
    """
    rows = [row for record in records for row in record]
    frame = pd.DataFrame(rows, columns=[*PER_SEED_COLUMNS, "convention"])
    place = {name: k for k, name in enumerate(methods)}
    frame = frame.sort_values("method", key=lambda names: names.map(place), kind="stable")
    return aggregate(frame, extra=("convention",))[list(COLUMNS)]


def rows_of(record: Record, arrays: Arrays, spec: MethodSpec) -> Rows:
    """Read one record under its method's own rule; a job that is not `done` has no rows.

    Raises
    ------
    KeyError, ValueError
        As `read_scores`.
    """
    if record.status != "done":
        return []
    shared = {
        **{name: getattr(record, name) for name in ("dataset", "method", "seed", "profile", "status")},
        "provenance": str(record.provenance),
        "preset": spec.preset,
        "threshold": spec.threshold,
    }
    predictions = read_scores(arrays, "soft", spec.threshold).predictions
    scores = np.asarray(arrays["scores"], np.float32)
    rows = []
    for scoring in SCORINGS:
        used = predictions.astype(np.float32) if scoring == "hard" else scores
        for convention in CONVENTIONS.values():
            values = metrics_under(convention, arrays["labels"], used, predictions)
            key = {**shared, "scoring": scoring, "convention": convention.id}
            rows += [{**key, "metric": metric, "value": value} for metric, value in values.items()]
    return rows


def render_conventions(summary: pd.DataFrame, methods: Sequence[MethodSpec]) -> str:
    """Return one table per data set.

    Parameters
    ----------
    summary : DataFrame
        As `average` returns it.
    methods : sequence of MethodSpec
        The registry, for how our tables read each method.
    """
    scorings = {spec.id: spec.scoring for spec in methods}
    parts = ["# Conventions", TEXT]
    for dataset, part in summary.groupby("dataset", sort=False):
        provenance = part["provenance"].iloc[0]
        parts += [f"## {dataset_title(str(dataset))} ({provenance})", _table(part, scorings)]
        rules = dict.fromkeys(zip(part["method"], part["threshold"], part["n_seeds"], strict=True))
        parts.append(
            "\n".join(
                f"- {method_title(method)}: {n} seeds, threshold {rule_title(rule)}"
                for method, rule, n in rules
            )
        )
    return "\n\n".join(parts) + "\n"


def _table(part: pd.DataFrame, scorings: Mapping[str, str]) -> str:
    keys = ["method", "scoring", "convention", "metric"]
    means: Mapping[Any, float] = dict(
        zip(part[keys].itertuples(index=False, name=None), part["mean"], strict=True)
    )
    rows = []
    for method, scoring in dict.fromkeys(zip(part["method"], part["scoring"], strict=True)):
        star = "*" if scorings.get(method) == scoring else ""
        for name, convention in CONVENTIONS.items():
            cells = [
                _cell(
                    means[method, scoring, name, metric.id],
                    None if name == SUITE.id else means[method, scoring, SUITE.id, metric.id],
                )
                for metric in METRICS
            ]
            rows.append([method_title(method), scoring + star, convention.heading, *cells])
    headers = ["method", "scores", "convention"]
    headers += [metric_heading(metric.id) for metric in METRICS]
    return pipe_table(rows, headers)


def _cell(value: float, ours: float | None) -> str:
    if isnan(value):
        return UNDEFINED
    return SAME if ours is not None and without_rounding(value - ours) == 0 else f"{value:.3f}"
