"""Where measured jobs come from: records, and tables that were written of others; it judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import Record
from benchmark.paper.gather import Gathered
from benchmark.run.config import ConfigError
from benchmark.studies.beyond.measured import (
    COMMON,
    COST,
    DATASET_COLUMNS,
    DATASET_SIZES,
    DATASETS_FILE,
    ENVIRONMENTS_FILE,
    JOB,
    JOB_COLUMNS,
    JOBS_FILE,
    NOTHING,
    PAIR,
    PER_SEED_FILE,
    PER_SEED_WIDE,
    READING,
    SETTINGS_FILE,
    STEP_COLUMNS,
    STEPS_FILE,
    Measured,
)
from benchmark.tables.reference import METRIC_COLUMNS, environment_name, read_csv, widen
from benchmark.tables.results import ListedDataset
from benchmark.untrusted import read_json

REMEDY = "correct it, or remove jobs.csv to write all tables of records alone"


def measured_of(gathered: Gathered) -> Measured:
    """Return what the records of one bench gave."""
    assert gathered.records is not None, "a reference has no records"
    assert gathered.results is not None, "a reference has no results"
    results, records = gathered.results, gathered.records
    steps = results.steps[results.steps["step"] > 0]
    recorded = {record.dataset for record in records}
    # One row per job: all ten metrics share it.
    jobs = results.as_printed.drop_duplicates(list(JOB))[list(COMMON)]
    datasets = [
        _dataset(listed, gathered.evidence.split_sizes[listed.id])
        for listed in results.datasets
        if listed.id in recorded
    ]
    return Measured(
        jobs.merge(_costs(records), on=list(JOB), how="left"),
        widen(results.per_seed, (*JOB, *READING)),
        widen(steps, (*JOB, "step")) if len(steps) else NOTHING.steps,
        pd.DataFrame(datasets, columns=list(DATASET_COLUMNS)),
        {record.config_hash: dict(record.settings) for record in records},
        {environment_name(record.environment): dict(record.environment) for record in records},
    )


def read_measured(folder: Path) -> Measured:
    """Read what `Measured.files` wrote; nothing where there is none.

    Raises
    ------
    ConfigError
        If a file is missing beside `jobs.csv`, lacks a column, or holds what does not belong there.
    """
    if not (folder / JOBS_FILE).is_file():
        return NOTHING
    numbers = ("seed", *METRIC_COLUMNS)
    jobs = _read_frame(folder / JOBS_FILE, JOB_COLUMNS, ("seed", *COST))
    datasets = _read_frame(folder / DATASETS_FILE, DATASET_COLUMNS, DATASET_SIZES)
    if unknown := set(jobs["dataset"]) - set(datasets["dataset"]):
        raise ConfigError(f"{folder / DATASETS_FILE} lacks {', '.join(sorted(unknown))}; {REMEDY}")
    per_seed = _read_frame(folder / PER_SEED_FILE, PER_SEED_WIDE, numbers)
    if jobs.duplicated([*PAIR, "seed"]).any() or per_seed.duplicated([*JOB, *READING]).any():
        raise ConfigError(f"{folder}: {JOBS_FILE} or {PER_SEED_FILE} has a job twice; {REMEDY}")
    if len(per_seed.merge(jobs[[*JOB, *READING]])) < len(jobs):
        raise ConfigError(f"{folder / PER_SEED_FILE} lacks jobs of {JOBS_FILE}; {REMEDY}")
    return Measured(
        jobs,
        per_seed,
        _read_frame(folder / STEPS_FILE, STEP_COLUMNS, (*numbers, "step")),
        datasets,
        _read_json(folder / SETTINGS_FILE),
        _read_json(folder / ENVIRONMENTS_FILE),
    )


def _read_frame(path: Path, columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    frame = read_csv(path, columns, numbers, REMEDY)[list(columns)]
    texts = [name for name in columns if name not in numbers]
    return frame.assign(**{name: frame[name].fillna("") for name in texts})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); {REMEDY}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no table; {REMEDY}")
    return content


def _costs(records: Iterable[Record]) -> pd.DataFrame:
    rows = [
        (
            *(getattr(record, name) for name in JOB),
            round(sum(record.seconds.values()), 1),
            round(record.processor_seconds, 3),
            round(record.peak_mib),
            environment_name(record.environment),
        )
        for record in records
    ]
    return pd.DataFrame(rows, columns=[*JOB, *COST, "environment"])


def _dataset(listed: ListedDataset, split: tuple[int, int]) -> dict[str, Any]:
    return {
        **{"dataset": listed.id, "title": listed.title, "n": listed.shape.n, "q": listed.shape.q},
        **{"dims": " ".join(map(str, listed.shape.dims)), "n_train": split[0], "n_test": split[1]},
        **{"provenance": str(listed.provenance), "note": listed.note},
        "in_paper": "yes" if listed.in_paper else "no",
    }
