"""Reads and writes what a committed reference holds for drift, its refits among it; it judges nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.files import write_csv, write_text
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError
from benchmark.run.lacking import with_reference
from benchmark.tables.reference import (
    METRIC_COLUMNS,
    PER_SEED_FILE,
    REFERENCE_COLUMNS,
    REFERENCE_KEYS,
    lengthen,
    read_csv,
    read_environments,
    read_settings,
)

REFITS_FILE, ACCEPTED_FILE = "refit_noise.csv", "accepted.md"
REFIT_KEYS = (*REFERENCE_KEYS[:3], "refit", *REFERENCE_KEYS[3:])
REFIT_COLUMNS = (*REFIT_KEYS, *METRIC_COLUMNS)
"""Of `REFITS_FILE`: one row per refit and rule of reading, a column per metric."""


@dataclass(frozen=True)
class Reference:
    """What `results/reference/<profile>/<data set>` holds."""

    folder: Path
    per_seed: pd.DataFrame
    """Columns `REFERENCE_COLUMNS`."""
    refits: pd.DataFrame
    """Columns `REFIT_COLUMNS`; empty where no refit was measured."""
    environments: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """By method and configuration hash; empty in references of before they were kept."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Its methods, in the order of the file."""
        return tuple(self.per_seed["method"].unique())

    @property
    def long_refits(self) -> pd.DataFrame:
        """The refits with one row per metric, like `per_seed`."""
        return lengthen(self.refits, REFIT_KEYS)


def read_references(bench: Bench) -> dict[str, Reference]:
    """Read the reference of each chosen data set that has one.

    Raises
    ------
    ConfigError
        If there is none at all, or none of a data set that was named.
    """
    root = bench.references_dir
    return {name: read_reference_folder(root / name, name) for name in with_reference(bench)}


def read_reference_folder(folder: Path, dataset: str) -> Reference:
    """Read one reference.

    Raises
    ------
    ConfigError
        If a file cannot be read, or is about another data set.
    """
    per_seed = read_csv(folder / PER_SEED_FILE, REFERENCE_COLUMNS)
    if per_seed.empty or set(per_seed["dataset"]) != {dataset}:
        found = ", ".join(map(str, per_seed["dataset"].unique())) or "nothing"
        raise ConfigError(
            f"cannot judge: {folder / PER_SEED_FILE} is about {found}, not {dataset}; write it again"
        )
    environments = tuple(read_environments(folder))
    return Reference(folder, per_seed, read_refits(folder), environments, read_settings(folder))


def read_refits(folder: Path) -> pd.DataFrame:
    """Read the refits of a reference; an absent file is an empty table.

    Raises
    ------
    ConfigError
        If it cannot be read or lacks a column.
    """
    path = folder / REFITS_FILE
    if not path.is_file():
        return pd.DataFrame(columns=list(REFIT_COLUMNS))
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(("config_hash", "data_hash", "score_digest"), str))
    except ValueError as error:
        raise ConfigError(f"cannot judge: {path} cannot be read ({error}); measure it again") from error
    if missing := set(REFIT_COLUMNS) - set(frame.columns):
        raise ConfigError(f"cannot judge: {path} lacks the columns {', '.join(sorted(missing))}")
    return frame[list(REFIT_COLUMNS)]


def write_refits(folder: Path, measured: pd.DataFrame, methods: Collection[str] | None = None) -> None:
    """Store refits; those of methods that were not measured now stay, of `methods` only where given."""
    old = read_refits(folder)
    old = old[~old["method"].isin(measured["method"])]
    if methods is not None:
        old = old[old["method"].isin(methods)]
    frames = [frame for frame in (old, measured) if len(frame)]
    path = folder / REFITS_FILE
    if frames:
        write_csv(path, pd.concat(frames, ignore_index=True))
    else:
        path.unlink(missing_ok=True)


def add_note(folder: Path, note: str) -> None:
    """Append what an acceptance says of itself to `ACCEPTED_FILE`."""
    path = folder / ACCEPTED_FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_text(path, before + note)
