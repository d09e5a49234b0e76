"""Reads a committed reference with its refit noise and settings, for the drift gate; it judges nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.drift.refits import NOISE_COLUMNS, NOISE_KEYS
from benchmark.run.config import ConfigError
from benchmark.tables.reference import (
    PER_SEED_FILE,
    REFERENCE_COLUMNS,
    lengthen,
    read_csv,
    read_environments,
    read_settings,
)

NOISE_FILE, ACCEPTED_FILE = "refit_noise.csv", "accepted.md"


@dataclass(frozen=True)
class Reference:
    """What `results/reference/<profile>/<data set>` holds."""

    folder: Path
    per_seed: pd.DataFrame
    """Columns `REFERENCE_COLUMNS`."""
    noise: pd.DataFrame
    """Columns `NOISE_COLUMNS`, one row per refit and reading; empty where no refit was measured."""
    environments: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """By method and configuration hash; empty in references of before they were kept."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Its methods, in the order of the file."""
        return tuple(self.per_seed["method"].unique())

    @property
    def long_noise(self) -> pd.DataFrame:
        """The refits with one row per metric, as `benchmark.drift.judge` takes them."""
        return lengthen(self.noise, NOISE_KEYS)


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
    return Reference(folder, per_seed, read_noise(folder), environments, read_settings(folder))


def read_noise(folder: Path) -> pd.DataFrame:
    """Read `refit_noise.csv`; an absent file is an empty table.

    Raises
    ------
    ConfigError
        If it cannot be read or lacks a column.
    """
    path = folder / NOISE_FILE
    if not path.is_file():
        return pd.DataFrame(columns=list(NOISE_COLUMNS))
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(("config_hash", "data_hash", "score_digest"), str))
    except ValueError as error:
        raise ConfigError(f"cannot judge: {path} cannot be read ({error}); measure it again") from error
    if missing := set(NOISE_COLUMNS) - set(frame.columns):
        raise ConfigError(f"cannot judge: {path} lacks the columns {', '.join(sorted(missing))}")
    return frame[list(NOISE_COLUMNS)]


def write_noise(folder: Path, measured: pd.DataFrame, methods: Collection[str] | None = None) -> None:
    """Store refits; those of methods that were not measured now stay, of `methods` only where given."""
    kept = read_noise(folder)
    kept = kept[~kept["method"].isin(measured["method"])]
    if methods is not None:
        kept = kept[kept["method"].isin(methods)]
    frames = [frame for frame in (kept, measured) if len(frame)]
    path = folder / NOISE_FILE
    if frames:
        pd.concat(frames, ignore_index=True).to_csv(path, index=False, lineterminator="\n")
    else:
        path.unlink(missing_ok=True)
