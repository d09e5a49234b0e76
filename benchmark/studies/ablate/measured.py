"""Metrics of finished jobs in a small table, so that a study can go on where its records are not.

Records hold every score and stay on the machine that made them; this table is small enough to be committed.
A row counts only for a job with the same hash: the same settings, data and code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import Record
from benchmark.files import write_csv
from benchmark.run.config import ConfigError
from benchmark.run.plan import Plan
from benchmark.score.metrics import METRICS
from benchmark.untrusted import read_table

MEASURED_FILE = "measured.csv"
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
Measured = Mapping[JobKey, Mapping[str, float]]
"""The ten metrics of jobs of one stage, under the method's own scoring and threshold rule."""


def read_measured(folder: Path) -> pd.DataFrame:
    """Read the folder's table of `COLUMNS`; an absent file is an empty one.

    Raises
    ------
    ConfigError
        If the file is not such a table.
    """
    path = folder / MEASURED_FILE
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        frame = read_table(path, dtype=dict.fromkeys(TEXT, str))
    except ValueError as error:
        raise ConfigError(f"{path} is no table ({error}); delete it to measure anew") from error
    if missing := [name for name in COLUMNS if name not in frame]:
        raise ConfigError(f"{path} lacks the columns {', '.join(missing)}; delete it to measure anew")
    if frame.duplicated(list(KEYS)).any():
        raise ConfigError(f"{path} has two rows of one job; delete it to measure anew")
    return frame[list(COLUMNS)]


def write_measured(frame: pd.DataFrame, folder: Path) -> Path:
    """Write the folder's table and return its path."""
    path = folder / MEASURED_FILE
    write_csv(path, frame)
    return path


def measured_in(frame: pd.DataFrame, stage: str) -> Measured:
    """Return the jobs of one stage."""
    metrics = [metric.id for metric in METRICS]
    return {
        (row["method"], int(row["seed"]), row["config_hash"]): {name: float(row[name]) for name in metrics}
        for row in frame[frame["stage"] == stage].to_dict("records")
    }


def without_measured(plan: Plan, measured: Measured, trained_anew: str) -> Plan:
    """Return the plan in which measured jobs need not run, but those of `trained_anew`."""
    jobs = tuple(
        dataclasses.replace(planned, elsewhere=True, to_run=False)
        if planned.record is None
        and planned.job.method != trained_anew
        and (planned.job.method, planned.job.seed, planned.setup.config_hash) in measured
        else planned
        for planned in plan.jobs
    )
    return dataclasses.replace(plan, jobs=jobs)


def renewed(
    frame: pd.DataFrame, stage: str, records: Iterable[Record], metrics: Mapping[tuple[str, int], Any]
) -> pd.DataFrame:
    """Return the table with a stage's records in place of other versions of the same jobs.

    Every other row stays, also of a version that is no longer current, until its job has run again.

    Parameters
    ----------
    frame : columns `COLUMNS`.
    stage : whose records they are.
    records : current ones.
    metrics : by method and seed, those of its record's scores; a record without is left out.
    """
    finished = [record for record in records if (record.method, record.seed) in metrics]
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
            **metrics[record.method, record.seed],
        }
        for record in finished
    }
    replaced = {(record.method, record.seed, *_limits(record.settings)) for record in finished}
    for row in frame[frame["stage"] == stage].to_dict("records"):
        method, seed, version = row["method"], int(row["seed"]), row["config_hash"]
        limits = tuple("" if pd.isna(row[name]) else str(int(row[name])) for name in LIMITS)
        if (method, seed, *limits) not in replaced:
            rows[method, seed, version] = {str(name): value for name, value in row.items()}
    ordered = pd.DataFrame([rows[key] for key in sorted(rows)], columns=list(COLUMNS))
    others = frame[frame["stage"] != stage]
    return ordered if others.empty else pd.concat([others, ordered], ignore_index=True)


def _limits(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return epochs and the cap on training rows as text, empty where there is none."""
    epochs, rows = dict(settings["options"]).get("epochs"), settings["max_train_rows"]
    return "" if epochs is None else str(epochs), "" if rows is None else str(rows)
