"""The files of a reference, the accepted numbers of a data set, and how each is read; it judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import MethodSpec, Record
from benchmark.run.config import ConfigError
from benchmark.run.fingerprint import config_hash
from benchmark.score.metrics import METRICS
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.untrusted import read_json, read_table

MOST_SEED = 2**32 - 1
PROVENANCE_FILE, PER_SEED_FILE, STEPS_FILE = "metrics.csv", "per_seed.csv", "steps.csv"
ENVIRONMENT_FILE, SETTINGS_FILE = "environment.json", "settings.json"
RESOURCES_FILE, TRACES_FILE = "resources.csv", "traces.npz"
ACQUISITION_FILE, DECODING_FILE = "acquisition.csv", "decoding.csv"
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
LONG_COLUMNS = ("dataset", "method", "seed", "metric", "value")
"""Of `acquisition.csv`, and of `decoding.csv`: quantities of whole decodings."""
METRIC_COLUMNS = tuple(metric.id for metric in METRICS)
"""Of files with a column per metric, where frames have a row per metric."""
REFERENCE_KEYS = tuple(name for name in REFERENCE_COLUMNS if name not in ("metric", "value", "preset"))
STEP_KEYS = (*REFERENCE_KEYS[:3], "step", *REFERENCE_KEYS[3:])
RESOURCE_COLUMNS = ("dataset", "method", "seed", "status", "processor_seconds", "peak_mib", "environment")
"""Of `resources.csv`, beside the seconds by the clock of each phase."""
STEP_COLUMNS = (*STEP_KEYS, *METRIC_COLUMNS)
"""Of `steps.csv`: one row per seed and decoding step (1, 2, ...), a column per metric."""


def resources_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return seconds per phase, those of the processor, peak memory and the environment's name, by job."""
    rows: list[dict[str, Any]] = [
        {
            "dataset": record.dataset,
            "method": record.method,
            "seed": record.seed,
            "status": record.status,
            **{f"seconds_{phase}": round(value, 3) for phase, value in record.seconds.items()},
            "processor_seconds": round(record.processor_seconds, 3),
            "peak_mib": round(record.peak_mib),
            "environment": environment_name(record.environment),
        }
        for record in records
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(RESOURCE_COLUMNS))


def environment_name(environment: Mapping[str, Any]) -> str:
    """Name an environment, however many jobs ran in it."""
    return config_hash({key: value for key, value in environment.items() if key != "jobs"})


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


def read_numbers(folder: Path, profile: str) -> pd.DataFrame:
    """Read a reference's numbers: `PER_SEED_COLUMNS`, under each rule of reading.

    Raises
    ------
    ConfigError
        If a file cannot be read, or is of another profile or of several provenances.
    """
    per_seed = read_csv(folder / PER_SEED_FILE, REFERENCE_COLUMNS)
    most = np.where(per_seed["metric"] == "coverage", np.finfo(float).max, 1)
    if per_seed.empty or ((per_seed["value"] < 0) | (per_seed["value"] > most)).any():
        what = "no job" if per_seed.empty else "a value that its metric cannot have"
        raise ConfigError(f"cannot judge: {folder / PER_SEED_FILE} holds {what}; write the reference again")
    origin = read_csv(folder / PROVENANCE_FILE, ("dataset", "method", "provenance", "profile"))
    if wrong := set(origin["profile"]) - {profile}:
        other = ", ".join(sorted(map(str, wrong)))
        raise ConfigError(
            f"cannot judge: {folder / PROVENANCE_FILE} was made with profile {other}, not "
            f"{profile}; write the reference again or correct --profile"
        )
    origin = origin[["dataset", "method", "provenance"]].drop_duplicates()
    if origin.duplicated(["dataset", "method"]).any():
        raise ConfigError(f"cannot judge: {folder / PROVENANCE_FILE} mixes provenances; write it again")
    frame = per_seed.merge(origin, on=["dataset", "method"], how="left").assign(profile=profile)
    if frame["provenance"].isna().any():
        lost = ", ".join(map(str, frame.loc[frame["provenance"].isna(), "method"].unique()))
        raise ConfigError(f"cannot judge: {folder / PROVENANCE_FILE} does not say where {lost} comes from")
    return frame[list(PER_SEED_COLUMNS)]


def read_steps(folder: Path) -> pd.DataFrame | None:
    """Read the metrics after each decoding step, a row for each; None where none were kept.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    if not (folder / STEPS_FILE).is_file():
        return None
    table = read_csv(folder / STEPS_FILE, STEP_COLUMNS, numbers=("seed", "step", *METRIC_COLUMNS))
    return lengthen(table, STEP_KEYS)


def read_long(path: Path) -> pd.DataFrame:
    """Read `LONG_COLUMNS`; no row of a reference of before they were kept.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    return read_csv(path, LONG_COLUMNS) if path.is_file() else pd.DataFrame(columns=list(LONG_COLUMNS))


def is_as_printed(frame: pd.DataFrame, methods: Sequence[MethodSpec]) -> pd.Series:
    """Say which rows were made with their method's own threshold rule and scoring."""
    made_with = pd.Series(list(zip(frame["threshold"], frame["scoring"], strict=True)), index=frame.index)
    return made_with == frame["method"].map({spec.id: (spec.threshold, spec.scoring) for spec in methods})


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
    environments = list(_read_json(folder / ENVIRONMENT_FILE, list, []))
    if not all(isinstance(one, dict) for one in environments):
        path = folder / ENVIRONMENT_FILE
        raise ConfigError(
            f"cannot judge: {path} holds other things than environments; write the reference again"
        )
    return environments


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
