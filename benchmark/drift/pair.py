"""What is held against what: whole frames, and one method on one data set; it knows no statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from benchmark.contracts import Array
from benchmark.tables.aggregate import CELL

MEASURE = [*CELL[2:]]
"""A metric with the rules that it was read by: what tells the cells of one method on one data set apart."""
Measure = tuple[str, ...]
"""Values of `MEASURE`."""
Pair = tuple[str, str]
"""Data set and method."""


@dataclass(frozen=True)
class ReferenceAndCurrent:
    """All that is judged at once. Frames are long, columns as in a reference's `per_seed.csv`."""

    reference: pd.DataFrame
    current: pd.DataFrame
    refits: pd.DataFrame
    """Of the reference: the same columns and `refit` (1, 2, ...); empty where none was measured."""
    why_bits_may_differ: Mapping[str, str] = field(default_factory=dict)
    """By data set, what differs between the environments; empty text where scores should agree bit by bit."""
    changed_settings: Mapping[Pair, str] = field(default_factory=dict)
    """What is known to differ between the settings of the reference and of the current records."""
    missing: Mapping[Pair, str] = field(default_factory=dict)
    """Why some or all current numbers of a pair do not exist."""

    def pairs(self) -> list[PairComparison]:
        """Return each data set and method that the reference or the current records have."""
        reference, current, refits = map(_by_pair, (self.reference, self.current, self.refits))
        nothing = self.reference.iloc[:0]
        return [
            PairComparison(
                *pair,
                reference.get(pair, nothing),
                current.get(pair, nothing),
                refits.get(pair, nothing),
                self.missing.get(pair, ""),
            )
            for pair in dict.fromkeys([*reference, *current, *self.missing])
        ]


def _by_pair(frame: pd.DataFrame) -> Mapping[Pair, pd.DataFrame]:
    """Split a long frame by data set and method, in the order in which they first appear."""
    if frame.empty:
        return {}
    return {(str(key[0]), str(key[1])): rows for key, rows in frame.groupby([*CELL[:2]], sort=False)}


@dataclass(frozen=True)
class PairComparison:
    """The reference, its refits and the current records of one method on one data set."""

    dataset: str
    method: str
    reference: pd.DataFrame
    current: pd.DataFrame
    refits: pd.DataFrame
    missing: str = ""
    """Why current numbers that should be there are not."""

    @property
    def new(self) -> bool:
        """Whether the reference does not have it."""
        return self.reference.empty

    @cached_property
    def problem(self) -> str:
        """Why nothing of the pair can be judged; empty text if something can."""
        if self.missing:
            return self.missing
        if self.current.empty:
            return "no current record; run it first"
        for name, rows in (("reference", self.reference), ("current records", self.current)):
            if text := _fault(rows):
                return f"{name}: {text}"
        if set(self.seeds) != set(self.current["seed"]):
            before, now = (_seeds(rows["seed"]) for rows in (self.reference, self.current))
            return (
                f"seeds differ: the reference has {before}, the current records {now}; run the reference's "
                "seeds (--seeds)"
            )
        return ""

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The reference's seeds; the current records have the same unless there is a `problem`."""
        return tuple(sorted(self.reference["seed"].unique()))

    @cached_property
    def values(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Reference and current, a row per measure that both have and a column per seed."""
        before, now = (
            rows.pivot(index=MEASURE, columns="seed", values="value")
            for rows in (self.reference, self.current)
        )
        shared = [measure for measure in _measures(self.reference) if measure in now.index]
        return before.loc[shared], now.loc[shared]

    @cached_property
    def not_in_both(self) -> dict[Measure, str]:
        """Measures that the reference or the current records lack, with what to say of them."""
        before, now = _measures(self.reference), _measures(self.current)
        gone = dict.fromkeys(before, "read by a rule or scoring that this version no longer uses")
        new = dict.fromkeys(now, "not in the reference, which was read by another rule or scoring")
        return {
            **{measure: why for measure, why in gone.items() if measure not in new},
            **{measure: why for measure, why in new.items() if measure not in gone},
        }

    @cached_property
    def same_scores(self) -> pd.Series:
        """By seed, whether the scores agree bit by bit."""
        before, now = (
            rows.groupby("seed")["score_digest"].first() for rows in (self.reference, self.current)
        )
        return before.eq(now)

    def hashes(self, column: str) -> tuple[str, str]:
        """Return a hash of reference and current, which have one each unless there is a `problem`."""
        return str(self.reference[column].iloc[0]), str(self.current[column].iloc[0])

    @cached_property
    def refits_problem(self) -> str:
        """Why the refits cannot be used; empty text if they can."""
        measure = "measure it with: reference --refit-noise N"
        if self.refits.empty:
            return f"refit noise was not measured; {measure}"
        for column, what in (("config_hash", "version of the method"), ("data_hash", "version of the data")):
            if set(self.refits[column]) != set(self.reference[column]):
                return f"refit noise was measured with another {what} than the reference; {measure}"
        if (self.refits["status"] != "done").any():
            return f"refits failed; {measure}"
        if self.refits.duplicated([*MEASURE, "seed", "refit"]).any():
            return f"refit noise holds a refit twice; {measure}"
        return ""

    @cached_property
    def deterministic(self) -> bool:
        """Whether every refit repeats the reference bit by bit: the method draws nothing at random."""
        if self.refits_problem:
            return False
        reference = self.reference.groupby("seed")["score_digest"].first()
        refits = self.refits.drop_duplicates(["seed", "refit"])
        return bool(refits["score_digest"].eq(refits["seed"].map(reference)).all())

    @cached_property
    def _refit_values(self) -> pd.DataFrame:
        """The refits, rows as in `values`, a column per seed and refit."""
        wide = self.refits.pivot(index=MEASURE, columns=["seed", "refit"], values="value")
        return wide.reindex(self.values[0].index)

    def refits_of(self, seed: int) -> set[int]:
        """Return the refits that one split has."""
        return set(self.refits.loc[self.refits["seed"] == seed, "refit"])

    def draws(self, seed: int, refits: Sequence[int]) -> Array:
        """Return current value, reference and the chosen refits of one split: (K, rows of `values`)."""
        before, now = self.values
        columns = [now[seed], before[seed], *(self._refit_values[seed, refit] for refit in refits)]
        return np.array(columns, dtype=float)

    @cached_property
    def undefined(self) -> dict[Measure, str]:
        """Measures of `values` that are nan somewhere, with where."""
        found: dict[Measure, str] = {}
        for name, values in zip(("reference", "current records"), self.values, strict=True):
            for measure in values.index[values.isna().any(axis=1)]:
                seeds = values.columns[values.loc[measure].isna()]
                found.setdefault(measure, f"nan in the {name} for {_seeds(seeds)}")
        if not self.refits_problem:
            refits = self._refit_values
            for measure in refits.index[refits.isna().any(axis=1)]:
                found.setdefault(measure, "nan or absent in the refits")
        return found


def _measures(rows: pd.DataFrame) -> list[Measure]:
    return list(rows[MEASURE].drop_duplicates().itertuples(index=False, name=None))


def _fault(rows: pd.DataFrame) -> str:
    """Say why rows of a reference or of current records are no whole set, or return an empty string."""
    for column, what in (("config_hash", "versions of the method"), ("data_hash", "versions of the data")):
        if rows[column].nunique(dropna=False) > 1:
            found = ", ".join(str(value)[:12] for value in rows[column].unique())
            return f"mixed {what} ({found})"
    repeated = rows[rows.duplicated([*MEASURE, "seed"])]
    if len(repeated):
        return f"seed {repeated['seed'].iloc[0]} appears twice"
    failed = rows.loc[rows["status"] != "done", "seed"]
    if len(failed):
        return f"failed for {_seeds(failed)}"
    wanted = rows["seed"].nunique()
    ragged = rows.groupby(MEASURE, sort=False)["seed"].nunique()
    if (ragged != wanted).any():
        return f"{ragged.index[ragged != wanted][0][0]} lacks some of {_seeds(rows['seed'])}"
    return ""


def _seeds(seeds: Iterable[int]) -> str:
    found = sorted({int(seed) for seed in seeds})
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"seeds {found[0]} to {found[-1]}"
    return f"seed{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"
