"""Reads current records into the frames that `analyse` and `present` work on; it judges nothing."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from benchmark.contracts import Record
from benchmark.evaluate.metrics import METRICS
from benchmark.evaluate.reading import read_scores
from benchmark.execute.plan import Plan
from benchmark.execute.store import RecordStore

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


def per_seed_frame(plan: Plan, store: RecordStore, rule: str | None = None) -> pd.DataFrame:
    """Redo the ten metrics of each current record from its stored scores, one row per metric.

    Parameters
    ----------
    plan
        Its current records are read; stale ones never enter.
    store
        Where the scores are.
    rule
        A threshold rule for every method; None for each method's own.

    Returns
    -------
    DataFrame
        Columns `PER_SEED_COLUMNS`; a failed job contributes NaN, with its status.
    """
    rows: list[dict[str, Any]] = []
    for record in plan.records():
        threshold = rule or record.threshold
        if record.status == "done":
            metrics = read_scores(store.arrays(record), record.scoring, threshold).metrics
        else:
            metrics = {metric.id: math.nan for metric in METRICS}
        common = _common(record, plan, threshold)
        rows.extend({**common, "metric": name, "value": value} for name, value in metrics.items())
    return pd.DataFrame(rows, columns=list(PER_SEED_COLUMNS))


def _common(record: Record, plan: Plan, threshold: str) -> dict[str, Any]:
    return {
        "dataset": record.dataset,
        "method": record.method,
        "seed": record.seed,
        "provenance": str(record.provenance),
        "profile": plan.profile,
        "preset": record.preset,
        "threshold": threshold,
        "scoring": record.scoring,
        "status": record.status,
        "config_hash": record.config_hash,
        "data_hash": record.data_hash,
        "score_digest": record.score_digest,
    }
