"""One method on one data set, reference against current: what can be said before any statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import Array
from benchmark.drift.band import LEAST_SEEDS
from benchmark.tables.aggregate import CELL

READING = ["metric", "threshold", "scoring"]
"""What tells a pair's cells apart."""
Cell = tuple[str, ...]
"""Values of `READING`."""


@dataclass(frozen=True)
class PairSides:
    """Both sides of one data set and method, and the refits of its reference."""

    dataset: str
    method: str
    before: pd.DataFrame
    """The reference's rows, columns as in `per_seed.csv`."""
    now: pd.DataFrame
    """The current rows."""
    refits: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The same columns and `refit`; empty if none was measured."""
    missing: str = ""
    """Why current numbers that should be there are not."""

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The reference's seeds."""
        return tuple(sorted(self.before["seed"].unique()))

    @cached_property
    def same_seeds(self) -> bool:
        return set(self.seeds) == set(self.now["seed"])

    @cached_property
    def values(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Reference and current, a row per cell and a column per seed; cells that both sides have."""
        before, now = (
            side.pivot(index=READING, columns="seed", values="value") for side in (self.before, self.now)
        )
        order = self.before[READING].drop_duplicates()
        shared = [cell for cell in order.itertuples(index=False, name=None) if cell in now.index]
        return before.loc[shared], now.loc[shared]

    @cached_property
    def unshared(self) -> list[tuple[Cell, str]]:
        """Cells that one side lacks, with what to say of them."""
        before, now = (
            list(side[READING].drop_duplicates().itertuples(index=False, name=None))
            for side in (self.before, self.now)
        )
        lost = [(cell, "read by a rule or scoring that this version no longer uses") for cell in before]
        new = [(cell, "not in the reference, which was read by another rule or scoring") for cell in now]
        return [pair for pair in lost if pair[0] not in now] + [pair for pair in new if pair[0] not in before]

    @cached_property
    def same_scores(self) -> pd.Series:
        """By seed of both sides, whether the scores agree bit by bit."""
        before, now = (side.groupby("seed")["score_digest"].first() for side in (self.before, self.now))
        both = before.index.intersection(now.index)
        return before[both].eq(now[both])

    def hashes(self, column: str) -> tuple[str, str]:
        """Return a hash of both sides; it is one per side once `problem` is empty."""
        return str(self.before[column].iloc[0]), str(self.now[column].iloc[0])

    def problem(self, other_seeds: bool) -> str:
        """Say why nothing of the pair can be judged, or return an empty string."""
        if self.missing:
            return self.missing
        if self.before.empty:
            return "the reference does not have it; write it with the command reference"
        if self.now.empty:
            return "no current record; run it first"
        for name, side in (("reference", self.before), ("current records", self.now)):
            if text := _fault(side):
                return f"{name}: {text}"
        if self.same_seeds:
            return ""
        texts = [_seeds(side["seed"]) for side in (self.before, self.now)]
        if not other_seeds:
            return (
                f"seeds differ: the reference has {texts[0]}, the current records {texts[1]}; run the "
                "reference's seeds (--seeds), or compare different seeds with --allow-other-seeds"
            )
        fewest = min(side["seed"].nunique() for side in (self.before, self.now))
        if fewest < LEAST_SEEDS:
            return f"seeds differ, and one side has {fewest}: different seeds need {LEAST_SEEDS} a side"
        return ""

    @cached_property
    def noise_problem(self) -> str:
        """Say why the refits cannot be used, or return an empty string."""
        measure = "measure it with: reference --refit-noise N"
        if self.refits.empty:
            return f"refit noise was not measured; {measure}"
        for column, what in (("config_hash", "version of the method"), ("data_hash", "version of the data")):
            if set(self.refits[column]) != set(self.before[column]):
                return f"refit noise was measured with another {what} than the reference; {measure}"
        if (self.refits["status"] != "done").any():
            return f"refits failed; {measure}"
        if self.refits.duplicated([*READING, "seed", "refit"]).any():
            return f"refit noise holds a refit twice; {measure}"
        return ""

    @cached_property
    def deterministic(self) -> bool:
        """Whether every refit repeats the reference bit by bit: the method draws nothing at random."""
        if self.noise_problem:
            return False
        reference = self.before.groupby("seed")["score_digest"].first()
        refits = self.refits.drop_duplicates(["seed", "refit"])
        return bool(refits["score_digest"].eq(refits["seed"].map(reference)).all())

    def draws(self, cells: Sequence[Cell], seed: int, refits: Sequence[int]) -> Array:
        """Return current value, reference and the chosen refits of some cells on one split: (K, C)."""
        before, now = self.values
        columns = [now[seed], before[seed], *(self._refit_values[seed, refit] for refit in refits)]
        order = pd.MultiIndex.from_tuples(cells, names=READING)
        return np.asarray([column.reindex(order) for column in columns], dtype=float)

    @cached_property
    def _refit_values(self) -> pd.DataFrame:
        return self.refits.pivot(index=READING, columns=["seed", "refit"], values="value")

    def refits_of(self, seed: int) -> set[int]:
        """Return the refits that one split has."""
        return set(self.refits.loc[self.refits["seed"] == seed, "refit"])

    def undefined(self, cell: Cell) -> str:
        """Say where a cell is nan, or return an empty string."""
        for name, side in zip(("reference", "current records"), self.values, strict=True):
            row = values_of(side, cell)
            if row.isna().any():
                return f"nan in the {name} for {_seeds(row.index[row.isna()])}"
        if self.noise_problem:
            return ""
        refits = self._refit_values
        if cell not in refits.index or values_of(refits, cell).isna().any():
            return "nan or absent in the refits"
        return ""


def _fault(side: pd.DataFrame) -> str:
    for column, what in (("config_hash", "versions of the method"), ("data_hash", "versions of the data")):
        if side[column].nunique(dropna=False) > 1:
            found = ", ".join(str(value)[:12] for value in side[column].unique())
            return f"mixed {what} ({found})"
    repeated = side[side.duplicated([*READING, "seed"])]
    if len(repeated):
        return f"seed {repeated['seed'].iloc[0]} appears twice"
    failed = side.loc[side["status"] != "done", "seed"]
    if len(failed):
        return f"failed for {_seeds(failed)}"
    wanted = side["seed"].nunique()
    ragged = side.groupby(READING, sort=False)["seed"].nunique()
    if (ragged != wanted).any():
        return f"{ragged.index[ragged != wanted][0][0]} lacks some of {_seeds(side['seed'])}"
    return ""


def _seeds(seeds: Iterable[int]) -> str:
    found = sorted({int(seed) for seed in seeds})
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"seeds {found[0]} to {found[-1]}"
    return f"seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"


def values_of(side: pd.DataFrame, cell: Any) -> pd.Series:
    """Return one cell's row of a table as in `PairSides.values`."""
    return side.loc[cell]


def by_pair(frame: pd.DataFrame) -> Mapping[tuple[str, str], pd.DataFrame]:
    """Split a long frame by data set and method, in the order in which they first appear."""
    if frame.empty:
        return {}
    return {(str(key[0]), str(key[1])): rows for key, rows in frame.groupby([*CELL[:2]], sort=False)}
