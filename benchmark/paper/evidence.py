"""What is put before the judge: numbers of ours per seed and what is known of them; it touches no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite, nan

import pandas as pd

from benchmark.contracts import MethodSpec, Provenance
from benchmark.inference import TEST_TO_TRAIN
from benchmark.tables.aggregate import exact_mean

Cell = tuple[str, str, str]
"""Data set, method and metric."""


@dataclass(frozen=True)
class Evidence:
    """Numbers of ours, and what decides whether they may be compared."""

    as_printed: pd.DataFrame
    """`benchmark.tables.aggregate.PER_SEED_COLUMNS`, each method under its own scoring and rule."""
    equal: pd.DataFrame
    """The same seeds with equal calibration for every method."""
    steps: pd.DataFrame | None
    """Metrics after each decoding step; None where the source keeps none."""
    methods: tuple[MethodSpec, ...]
    """All registered methods."""
    seeds: tuple[int, ...]
    """Seeds that every cell must have, but of `own_seeds`."""
    source: str
    """Where the numbers are from, in words."""
    datasets: tuple[str, ...] = ()
    """Data sets that the numbers are asked of, whether there are any of them or not."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """By data set, what the profile takes away from the printed protocol; absent for nothing."""
    left_out: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why numbers that exist of a data set and method did not enter: another version, or another rule."""
    messages: tuple[str, ...] = ()
    """What the source had that could not be used at all, for the person who asked."""
    missing: str = "not run"
    """What to say of a method without numbers."""
    split_sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By data set, training and test rows of each split; a data set without has `TEST_TO_TRAIN`."""
    own_seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By data set, the seeds of its cells, where they are others."""
    warnings: tuple[str, ...] = ()
    """What else that person should know; it keeps nothing from being judged."""

    @cached_property
    def _cells(self) -> Mapping[Cell, pd.DataFrame]:
        keys = ["dataset", "method", "metric"]
        groups = self.as_printed.groupby(keys, sort=False)
        return {(str(d), str(name), str(metric)): rows for (d, name, metric), rows in groups}

    @cached_property
    def data_hashes(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Which versions of a data set each method saw, by data set and method."""
        groups = self.as_printed.groupby(["dataset", "method"], sort=False)["data_hash"]
        return {(str(d), str(name)): frozenset(hashes.dropna()) for (d, name), hashes in groups}

    def test_to_train(self, dataset: str) -> float:
        """Return n_test / n_train of a data set's splits."""
        if dataset not in self.split_sizes:
            return TEST_TO_TRAIN
        n_train, n_test = self.split_sizes[dataset]
        return n_test / n_train

    def seeds_of(self, dataset: str) -> tuple[int, ...]:
        """Return the seeds that every cell of a data set must have."""
        return self.own_seeds.get(dataset, self.seeds)

    def cell(self, dataset: str, method: str, metric: str) -> pd.DataFrame:
        """Return the rows of one cell, one per seed; none if there are none."""
        return self._cells.get((dataset, method, metric), self.as_printed.iloc[:0])

    @cached_property
    def _provenances(self) -> Mapping[str, str]:
        pairs = self.as_printed.drop_duplicates("dataset")
        return dict(zip(pairs["dataset"], pairs["provenance"], strict=True))

    @property
    def reconstructed(self) -> frozenset[str]:
        """Methods whose original could not be found: their numbers say nothing of the paper's row."""
        return frozenset(spec.id for spec in self.methods if spec.reconstructed)

    def provenance(self, dataset: str) -> str:
        """Return where a data set's numbers come from, or an empty string if there are none."""
        return self._provenances.get(dataset, "")

    @cached_property
    def _comparable(self) -> dict[Cell, tuple[pd.Series, str]]:
        return {}

    def comparable(self, dataset: str, method: str, metric: str) -> tuple[pd.Series, str]:
        """Return a cell's values by seed, or an empty series and the reason why it is not comparable.

        The reasons are tried in a fixed order: not run, look-alike data, reconstructed method, a profile that
        is not the printed protocol, then what `why_not` finds.
        """
        cell = (dataset, method, metric)
        if cell not in self._comparable:  # claims ask for the same cells again and again
            self._comparable[cell] = self._examine(*cell)
        return self._comparable[cell]

    def _examine(self, dataset: str, method: str, metric: str) -> tuple[pd.Series, str]:
        rows = self.cell(dataset, method, metric)
        nothing = pd.Series(dtype=float)
        left_out = self.left_out.get((dataset, method), "")
        if rows.empty:
            if not any(spec.id == method for spec in self.methods):
                return nothing, left_out or "method not implemented"
            if (dataset, method) in self.data_hashes:
                return nothing, f"cannot judge: no {metric} of it in {self.source}"
            return nothing, left_out or self.missing
        provenances = set(rows["provenance"])
        if Provenance.LOOK_ALIKE in provenances:
            return nothing, "look-alike data"
        if len(provenances) > 1:
            return nothing, f"cannot judge: mixes {' and '.join(sorted(provenances))} data"
        if method in self.reconstructed:
            return nothing, "reconstructed method: the original could not be found"
        if dataset in self.limits:
            return nothing, self.limits[dataset]
        if reason := why_not(rows, self.seeds_of(dataset)):
            return nothing, f"{reason}; {left_out}" if left_out else reason
        return rows.set_index("seed")["value"].sort_index(), ""

    def shown(self, dataset: str, method: str, metric: str) -> tuple[float, float, int]:
        """Return mean, deviation and number of a cell's finished seeds, comparable or not.

        They are for display alone; nan where seeds mix versions or data, or the metric is undefined for one.
        """
        rows = self.cell(dataset, method, metric)
        done = rows[rows["status"] == "done"]
        mixed = any(done[column].nunique() > 1 for column in ("config_hash", "data_hash", "provenance"))
        if done.empty or mixed or not done["value"].map(isfinite).all() or done["seed"].duplicated().any():
            return nan, nan, 0
        return exact_mean(done["value"]), float(done["value"].std()), len(done)


def rows_of_cell(frame: pd.DataFrame, dataset: str, method: str, metric: str) -> pd.DataFrame:
    """Return the rows of any long frame that are about one cell."""
    return frame[(frame["dataset"] == dataset) & (frame["method"] == method) & (frame["metric"] == metric)]


def why_not(rows: pd.DataFrame, seeds: Sequence[int]) -> str:
    """Say why one cell cannot be judged, or return an empty string.

    Parameters
    ----------
    rows : DataFrame
        One method, data set and metric: `seed`, `value`, `status`, `config_hash`, `data_hash`.
    seeds : sequence of int
        Seeds that it must have.
    """
    for column, what in (("config_hash", "versions of the method"), ("data_hash", "versions of the data")):
        if rows[column].nunique() > 1:
            found = ", ".join(str(value)[:12] for value in rows[column].unique())
            return f"cannot judge: mixes {what} ({found}); run all seeds again"
    if rows["seed"].duplicated().any():
        return f"cannot judge: seed {rows.loc[rows['seed'].duplicated(), 'seed'].iloc[0]} appears twice"
    failed = rows.loc[rows["status"] != "done", "seed"]
    if len(failed):
        return f"cannot judge: {_seeds(failed)} failed"
    if missing := set(seeds) - set(rows["seed"]):
        return f"cannot judge: {_seeds(missing)} missing"
    undefined = rows.loc[~rows["value"].map(isfinite), "seed"]
    if len(undefined):
        return f"cannot judge: undefined (nan or infinite) for {_seeds(undefined)}"
    if len(rows) < 2:
        return "cannot judge: one seed has no deviation; run at least two"
    return ""


def _seeds(seeds: Iterable[int]) -> str:
    numbers = sorted(seeds)
    return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def as_one(parts: Sequence[Evidence]) -> Evidence:
    """Put the numbers of several data sets together, so that they are judged as one."""
    steps = [part.steps for part in parts if part.steps is not None]
    return replace(
        parts[0],
        as_printed=pd.concat([part.as_printed for part in parts], ignore_index=True),
        equal=pd.concat([part.equal for part in parts], ignore_index=True),
        steps=pd.concat(steps, ignore_index=True) if steps else None,
        datasets=tuple(dict.fromkeys(name for part in parts for name in part.datasets)),
        limits={name: why for part in parts for name, why in part.limits.items()},
        split_sizes={name: sizes for part in parts for name, sizes in part.split_sizes.items()},
        own_seeds={name: part.seeds_of(name) for part in parts for name in part.datasets},
        left_out={pair: why for part in parts for pair, why in part.left_out.items()},
        messages=tuple(dict.fromkeys(message for part in parts for message in part.messages)),
    )
