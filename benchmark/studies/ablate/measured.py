"""Metrics of finished jobs in a small table, so that a study can go on where its records are not.

Records hold every score and stay on the machine that made them; this table is small enough to be committed.
A row counts only for a job with the same hash: the same settings, data and code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.run.config import ConfigError
from benchmark.run.plan import Plan
from benchmark.run.store import RecordStore
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.tables.results import Entries

KEYS = ("stage", "method", "seed", "config_hash")
LIMITS = ("epochs", "max_train_rows")
"""Settings in which studies differ on purpose: a row with others is of another study, no older version."""
TEXT = ("stage", "method", "config_hash", "scoring", "threshold", "score_digest")
COLUMNS = (
    *KEYS,
    *LIMITS,
    "scoring",
    "threshold",
    "score_digest",
    *(metric.id for metric in METRICS),
)

JobKey = tuple[str, int, str]
"""Method, seed and hash."""
Kept = Mapping[JobKey, Mapping[str, float]]
"""The ten metrics of jobs of one stage, under the method's own scoring and threshold rule."""


def read_kept(path: Path) -> pd.DataFrame:
    """Read a table of `COLUMNS`; an absent file is an empty one.

    Raises
    ------
    ConfigError
        If the file is not such a table.
    """
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str))
    except (ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no table ({error}); delete it to measure anew") from error
    if missing := [name for name in COLUMNS if name not in frame]:
        raise ConfigError(f"{path} lacks the columns {', '.join(missing)}; delete it to measure anew")
    if frame.duplicated(list(KEYS)).any():
        raise ConfigError(f"{path} has two rows of one job; delete it to measure anew")
    return frame[list(COLUMNS)]


def of_stage(frame: pd.DataFrame, stage: str) -> Kept:
    """Return the jobs of one stage."""
    metrics = [metric.id for metric in METRICS]
    return {
        (row["method"], int(row["seed"]), row["config_hash"]): {name: float(row[name]) for name in metrics}
        for row in frame[frame["stage"] == stage].to_dict("records")
    }


def with_kept(plan: Plan, kept: Kept, trained_anew: str) -> Plan:
    """Return the plan in which kept jobs need not run; `trained_anew` is a method whose scores are needed."""
    jobs = tuple(
        dataclasses.replace(planned, elsewhere=True, to_run=False)
        if planned.record is None
        and planned.job.method != trained_anew
        and (planned.job.method, planned.job.seed, planned.setup.config_hash) in kept
        else planned
        for planned in plan.jobs
    )
    return dataclasses.replace(plan, jobs=jobs)


def updated(frame: pd.DataFrame, stage: str, plan: Plan, store: RecordStore) -> pd.DataFrame:
    """Return the table with the plan's finished records in place of other versions of the same jobs.

    Every other row stays, also of a version that is no longer current, until its job has run again.

    Parameters
    ----------
    frame : columns `COLUMNS`.
    stage : whose plan it is.
    plan : compared with the store.
    store : of the plan's records.
    """
    finished = [
        (record, read_scores(arrays, record.scoring, record.threshold).metrics)
        for record, arrays in Entries(plan.inventory, store)
        if record.status == "done"
    ]
    rows: dict[JobKey, dict[str, Any]] = {
        (record.method, record.seed, record.config_hash): {
            "stage": stage,
            "method": record.method,
            "seed": record.seed,
            "config_hash": record.config_hash,
            **dict(zip(LIMITS, _limits(record.settings), strict=True)),
            "scoring": record.scoring,
            "threshold": record.threshold,
            "score_digest": record.score_digest,
            **metrics,
        }
        for record, metrics in finished
    }
    renewed_jobs = {(record.method, record.seed, *_limits(record.settings)) for record, _ in finished}
    for row in frame[frame["stage"] == stage].to_dict("records"):
        method, seed, version = row["method"], int(row["seed"]), row["config_hash"]
        limits = tuple("" if pd.isna(row[name]) else str(int(row[name])) for name in LIMITS)
        if (method, seed, *limits) not in renewed_jobs:
            rows[method, seed, version] = {str(name): value for name, value in row.items()}
    ordered = [rows[key] for key in sorted(rows)]
    others = frame[frame["stage"] != stage]
    renewed = pd.DataFrame(ordered, columns=list(COLUMNS))
    return renewed if others.empty else pd.concat([others, renewed], ignore_index=True)


def _limits(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return epochs and the cap on training rows as text, empty where there is none."""
    epochs, rows = dict(settings["options"]).get("epochs"), settings["max_train_rows"]
    return "" if epochs is None else str(epochs), "" if rows is None else str(rows)
