"""Metrics under several conventions, as Markdown; it computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from benchmark.contracts import MethodSpec
from benchmark.score.conventions import CONVENTIONS, SUITE
from benchmark.score.metrics import METRICS
from benchmark.tables.names import ARROWS, METRIC_TITLES, dataset_title, method_title, rule_title

FILE = "conventions.md"
SAME = "="
UNDEFINED = "–"
TEXT = (
    f"Mean over seeds of the same scores, labels and predictions under each convention. `{SAME}`: as in the "
    f"row '{SUITE.title}' above it, to the last bit; `{UNDEFINED}`: undefined, because the library has no "
    "such measure, divides by zero, or returns nan on rows or labels with one class. Hard: scores are "
    "replaced by the 0/1 predictions. A star marks how the method is read in our tables. Sources and rules: "
    "`benchmark/score/conventions.py`."
)


def render_conventions(summary: pd.DataFrame, methods: Sequence[MethodSpec]) -> str:
    """Return one table per data set.

    Parameters
    ----------
    summary : DataFrame
        As `analyse.conventions.under_conventions` returns it.
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


def write_conventions(summary: pd.DataFrame, methods: Sequence[MethodSpec], folder: Path) -> Path:
    """Write `conventions.md` into a folder of tables or a reference; created if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(render_conventions(summary, methods), encoding="utf-8", newline="\n")
    return path


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
            rows.append([method_title(method), scoring + star, convention.title, *cells])
    headers = ["method", "scores", "convention"]
    headers += [f"{METRIC_TITLES[metric.id]} {ARROWS[metric.direction]}" for metric in METRICS]
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def _cell(value: float, ours: float | None) -> str:
    if isnan(value):
        return UNDEFINED
    return SAME if value == ours else f"{value:.3f}"
