"""Printed tables made by the real metric code from random labels and scores, for tests of the audit."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

import numpy as np
import pandas as pd

from benchmark.audit.numbers import COLUMNS, Facts, Interval
from benchmark.score.metrics import METRICS, compute_metrics

WAYS = {"rounded": ROUND_HALF_EVEN, "truncated": ROUND_DOWN}


def text(value: float, way: str, decimals: int = 3) -> str:
    """Print a number, as a table does."""
    if np.isnan(value):
        return ""
    return str(Decimal(float(value)).quantize(Decimal(1).scaleb(-decimals), WAYS[way]))


def draw_labels(rng: np.random.Generator, n: int, q: int) -> np.ndarray:
    """Draw labels of a random density; rows without any or with all labels are common."""
    labels = rng.random((n, q)) < rng.uniform(0.05, 0.6)
    labels[rng.random(n) < rng.choice([0, 0.3])] = 0
    labels[rng.random(n) < rng.choice([0, 0, 0.2])] = 1
    if rng.random() < 0.4:  # as in most data sets: every row has a label
        empty = np.flatnonzero(~labels.any(axis=1))
        labels[empty, rng.integers(0, q, len(empty))] = 1
    return labels.astype(np.uint8)


def draw_scores(rng: np.random.Generator, labels: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores of some skill and the predictions of a threshold; `kind` is free, tied or hard."""
    skill = rng.choice([0, 0.5, 1, 3, 50])
    scores = 1 / (1 + np.exp(-(skill * (labels - 0.5) + rng.normal(size=labels.shape))))
    if kind == "tied":
        scores = np.round(scores * rng.integers(1, 6)) / 6
    predictions = (scores >= rng.choice([0.2, 0.5, 0.8])).astype(np.uint8)
    return (predictions.astype(float) if kind == "hard" else scores), predictions


def valid_table(rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, Facts]]:
    """Make one table of several methods on one data set, and what is true of its labels."""
    n_runs, q = int(rng.choice([1, 2, 3, 6])), int(rng.integers(2, 7))
    n = int(rng.choice([2, 5, 12, 30]))
    runs = [draw_labels(rng, n, q) for _ in range(n_runs)]
    way, ddof = rng.choice(list(WAYS)), int(rng.integers(0, 2))
    lines = []
    for method, kind in {"a": "free", "b": "tied", "c": "hard", "d": "hard"}.items():
        values = pd.DataFrame([compute_metrics(y, *draw_scores(rng, y, kind)) for y in runs])
        for metric in METRICS:
            mean = values[metric.id].mean(skipna=False)
            std = values[metric.id].std(ddof=ddof, skipna=False) if n_runs > 1 else np.nan
            lines.append(("t", "data", method, "", metric.id, mean, std, n_runs, kind == "hard", None))
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    table = marked(table.assign(**{c: [text(v, way) for v in table[c]] for c in ("mean", "std")}))
    if rng.random() < 0.1:
        table["std"] = ""
    return table, {"data": facts_of(runs, q) if rng.random() < 0.5 else Facts(q)}


def facts_of(runs: list[np.ndarray], q: int) -> Facts:
    """Say what holds for every run."""

    def interval(values: list[float]) -> Interval:
        return Interval(min(values), max(values))

    counts = [labels.sum(axis=1) for labels in runs]
    return Facts(
        q,
        interval([float(k.mean()) for k in counts]),
        float(np.mean([k.mean() for k in counts])),
        interval([float((k == 0).mean()) for k in counts]),
        interval([float((k == q).mean()) for k in counts]),
    )


def marked(table: pd.DataFrame) -> pd.DataFrame:
    """Mark one of the best printed numbers of each column as bold."""
    bold = pd.Series(False, index=table.index)
    for metric in METRICS:
        printed = pd.to_numeric(table.loc[table["metric"] == metric.id, "mean"]).dropna()
        if len(printed):
            bold[printed.idxmax() if metric.direction == "up" else printed.idxmin()] = True
    return table.assign(bold=bold)
