"""Writes the accepted numbers of a data set, a reference, and reads its tables; it judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import Record
from benchmark.files import write_csv, write_text
from benchmark.run.config import ConfigError
from benchmark.score.metrics import METRICS
from benchmark.tables.results import Results
from benchmark.tables.traces import write_traces
from benchmark.tables.write import write_all
from benchmark.untrusted import read_json, read_table

MOST_SEED = 2**32 - 1
PROVENANCE_FILE, PER_SEED_FILE, STEPS_FILE = "metrics.csv", "per_seed.csv", "steps.csv"
ENVIRONMENT_FILE, SETTINGS_FILE = "environment.json", "settings.json"
RESOURCES_FILE, ACQUISITION_FILE, TRACES_FILE = "resources.csv", "acquisition.csv", "traces.npz"
REFERENCE_COLUMNS = (
    "dataset",
    "method",
    "seed",
    "metric",
    "value",
    "preset",
    "scoring",
    "threshold",
    "status",
    "config_hash",
    "data_hash",
    "score_digest",
)
ACQUISITION_COLUMNS = ("dataset", "method", "seed", "metric", "value")
METRIC_COLUMNS = tuple(metric.id for metric in METRICS)
"""Of files with a column per metric, where frames have a row per metric."""
REFERENCE_KEYS = tuple(name for name in REFERENCE_COLUMNS if name not in ("metric", "value", "preset"))
STEP_KEYS = (*REFERENCE_KEYS[:3], "step", *REFERENCE_KEYS[3:])
STEP_COLUMNS = (*STEP_KEYS, *METRIC_COLUMNS)
"""Of `steps.csv`: one row per seed and decoding step (1, 2, ...), a column per metric."""


def write_reference(results: Results, records: Sequence[Record], folder: Path) -> list[Path]:
    """Write the accepted numbers of one data set: per seed, aggregated, as tables, and where they were made.

    Parameters
    ----------
    results
        Of records of one data set.
    records
        The same records.
    folder
        `results/reference/<profile>/<data set>`; created if absent.

    Returns
    -------
    list of Path
        `per_seed.csv` (columns `REFERENCE_COLUMNS`), `steps.csv` (`STEP_COLUMNS`), `resources.csv`,
        `acquisition.csv`, `traces.npz` (see `benchmark.tables.traces`), `environment.json`, `settings.json`
        (by method and hash, what the hash was made of) and what
        `write_all` writes.
    """
    tables = write_all(results, folder)
    per_seed = results.per_seed[list(REFERENCE_COLUMNS)]
    write_csv(folder / PER_SEED_FILE, per_seed)
    steps = widen(results.steps[results.steps["step"] > 0], STEP_KEYS)
    write_csv(folder / STEPS_FILE, steps)
    write_csv(folder / RESOURCES_FILE, resources_frame(records))
    write_csv(folder / ACQUISITION_FILE, results.acquisition[list(ACQUISITION_COLUMNS)])
    write_traces(folder / TRACES_FILE, results.traces)
    environments = json.dumps(distinct_environments(records), indent=1, sort_keys=True) + "\n"
    write_text(folder / ENVIRONMENT_FILE, environments)
    settings = json.dumps(distinct_settings(records), indent=1, sort_keys=True) + "\n"
    write_text(folder / SETTINGS_FILE, settings)
    files = (
        *(PER_SEED_FILE, STEPS_FILE, RESOURCES_FILE, ACQUISITION_FILE, TRACES_FILE),
        *(ENVIRONMENT_FILE, SETTINGS_FILE),
    )
    return sorted(folder / name for name in {*tables, *files})


def resources_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return seconds per phase, those of the processor and peak memory, one row per job."""
    rows: list[dict[str, Any]] = [
        {
            "dataset": record.dataset,
            "method": record.method,
            "seed": record.seed,
            "status": record.status,
            **{f"seconds_{phase}": round(value, 3) for phase, value in record.seconds.items()},
            "processor_seconds": round(record.processor_seconds, 3),
            "peak_mib": round(record.peak_mib),
        }
        for record in records
    ]
    return pd.DataFrame(rows)


def distinct_settings(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return what each configuration hash was made of, by method and hash."""
    settings: dict[str, dict[str, Any]] = {}
    for record in records:
        settings.setdefault(record.method, {})[record.config_hash] = dict(record.settings)
    return settings


def distinct_environments(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return each environment that finished jobs ran in, with their number; usually there is one."""
    counts: dict[str, int] = {}
    for record in records:
        if record.status == "done":
            key = json.dumps(dict(record.environment), sort_keys=True)
            counts[key] = counts.get(key, 0) + 1
    return [{**json.loads(key), "jobs": count} for key, count in counts.items()]


def read_csv(
    path: Path,
    columns: Sequence[str],
    numbers: Sequence[str] = ("seed", "value"),
    remedy: str = "write the reference again",
) -> pd.DataFrame:
    """Read a table of accepted numbers, usually a reference's; all columns but `numbers` are text.

    Raises
    ------
    ConfigError
        If it is missing, unreadable, lacks a column, or holds something else where a number belongs.
    """
    if not path.is_file():
        raise ConfigError(f"cannot judge: {path} is missing; {remedy}")
    try:
        frame = read_table(path, dtype=dict.fromkeys(set(columns) - set(numbers), str))
    except ValueError as error:
        raise ConfigError(f"cannot judge: {path} cannot be read ({error}); {remedy}") from error
    if missing := set(columns) - set(frame.columns):
        raise ConfigError(f"cannot judge: {path} lacks the columns {', '.join(sorted(missing))}")
    for column in sorted(set(numbers) & set(columns)):
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[column]):
            raise ConfigError(f"cannot judge: {path} holds a {column} that is not a number")
    if "seed" in columns and not (frame["seed"].between(0, MOST_SEED) & (frame["seed"] % 1 == 0)).all():
        raise ConfigError(f"cannot judge: {path} holds a seed that is no whole number; write it again")
    return frame


def widen(long: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per combination of `keys`, a column per metric.

    Parameters
    ----------
    long : DataFrame
        `keys`, `metric` and `value`, each combination once.
    keys : sequence of str
        `dataset` and `method` first: rows keep the order in which these appear, and are sorted by the others.
    """
    wide = long.pivot(index=list(keys), columns="metric", values="value").reset_index()
    pairs = long[["dataset", "method"]].drop_duplicates().itertuples(index=False, name=None)
    place = {pair: number for number, pair in enumerate(pairs)}
    wide["place"] = [place[pair] for pair in zip(wide["dataset"], wide["method"], strict=True)]
    wide = wide.sort_values(["place", *keys[2:]], kind="stable")
    return wide.reindex(columns=[*keys, *METRIC_COLUMNS]).reset_index(drop=True)


def lengthen(wide: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Undo `widen`; metrics that the table lacks are left out."""
    metrics = [name for name in METRIC_COLUMNS if name in wide.columns]
    numbered = wide.reset_index(drop=True)
    long = numbered.melt(
        id_vars=list(keys), value_vars=metrics, var_name="metric", value_name="value", ignore_index=False
    )
    return long.sort_index(kind="stable").reset_index(drop=True)


def read_environments(folder: Path) -> list[dict[str, Any]]:
    """Read what `distinct_environments` returned; nothing in references of before they were kept.

    Raises
    ------
    ConfigError
        If the file holds something else.
    """
    return list(_read_json(folder / ENVIRONMENT_FILE, list, []))


def read_settings(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Read what `distinct_settings` returned; nothing in references of before they were kept.

    Raises
    ------
    ConfigError
        If the file holds something else.
    """
    return dict(_read_json(folder / SETTINGS_FILE, dict, {}))


def _read_json(path: Path, kind: type, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        content = read_json(path)
    except ValueError as error:
        raise ConfigError(f"cannot judge: {path} is not JSON ({error}); write the reference again") from error
    if not isinstance(content, kind):
        raise ConfigError(f"cannot judge: {path} holds no {kind.__name__}; write the reference again")
    return content
