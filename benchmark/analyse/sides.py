"""Whose numbers a claim is checked against, the paper's printed ones or ours per seed; it knows no claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from benchmark.analyse.judged import Judged, comparable, provenance_of, why_not
from benchmark.analyse.printed import PAPER_SEEDS
from benchmark.analyse.statistics import Comparison, Summary, corrected_paired, welch
from benchmark.contracts import Provenance

Chosen = tuple[tuple[str, ...], tuple[str, ...]]
"""What may be used, and why the rest may not."""


class CannotJudgeError(ValueError):
    """Numbers that are missing or must not be compared; the message says which and why."""


class Side(Protocol):
    """Means and comparisons of methods on shared data sets."""

    name: str

    def datasets(self, names: Sequence[str]) -> Chosen:
        """Return the data sets that may support a claim, and why the others may not."""
        ...

    def methods(self, names: Sequence[str]) -> Chosen:
        """Return the methods that may support a claim, and why the others may not."""
        ...

    def mean(self, dataset: str, method: str, metric: str) -> float:
        """Return a cell's mean, or raise `CannotJudgeError`."""
        ...

    def compare(self, dataset: str, first: str, second: str, metric: str) -> Comparison:
        """Test the first method's mean minus the second's, or raise `CannotJudgeError`."""
        ...


class PaperSide:
    """The printed means and deviations of ten repetitions each; which splits they share is not printed."""

    name = "paper"

    def __init__(self, printed: pd.DataFrame) -> None:
        keys = ["dataset", "method", "metric"]
        distinct = printed.drop_duplicates(keys)
        self._cells = {
            tuple(key): Summary(mean, std, PAPER_SEEDS)
            for *key, mean, std in distinct[[*keys, "mean", "std"]].itertuples(index=False)
        }

    def datasets(self, names: Sequence[str]) -> Chosen:
        """Return the data sets of the printed tables."""
        present = {dataset for dataset, *_ in self._cells}
        return tuple(name for name in names if name in present), ()

    def methods(self, names: Sequence[str]) -> Chosen:
        """Return all methods: the paper's rows are its own."""
        return tuple(names), ()

    def mean(self, dataset: str, method: str, metric: str) -> float:
        """Return the printed mean."""
        return self._summary(dataset, method, metric).mean

    def compare(self, dataset: str, first: str, second: str, metric: str) -> Comparison:
        """Return Welch's test on the printed numbers."""
        return welch(self._summary(dataset, first, metric), self._summary(dataset, second, metric))

    def _summary(self, dataset: str, method: str, metric: str) -> Summary:
        if (dataset, method, metric) not in self._cells:
            raise CannotJudgeError(f"the paper prints no {metric} of {method} on {dataset}")
        return self._cells[dataset, method, metric]


class OurSide:
    """Our numbers per seed: every method ran on the same splits, so differences are paired by seed."""

    name = "ours"

    def __init__(self, judged: Judged) -> None:
        self._judged = judged

    def datasets(self, names: Sequence[str]) -> Chosen:
        """Return the data sets with numbers that are not look-alikes."""
        kept, notes = [], []
        for name in names:
            provenance = provenance_of(self._judged, name)
            if not provenance:
                notes.append(f"{name}: not run")
            elif provenance == Provenance.LOOK_ALIKE:
                notes.append(f"{name}: look-alike data")
            else:
                kept.append(name)
        return tuple(kept), tuple(notes)

    def methods(self, names: Sequence[str]) -> Chosen:
        """Return the methods but the reconstructed ones."""
        lost = [name for name in names if name in self._judged.reconstructed]
        kept = tuple(name for name in names if name not in lost)
        return kept, tuple(f"{name} left out: reconstructed" for name in lost)

    def mean(self, dataset: str, method: str, metric: str) -> float:
        """Return the mean over seeds."""
        return float(self._values(dataset, method, metric).mean())

    def compare(self, dataset: str, first: str, second: str, metric: str) -> Comparison:
        """Return the corrected paired test over seeds."""
        frame = self._judged.as_printed
        hashes = frame.loc[
            (frame["dataset"] == dataset) & frame["method"].isin([first, second]), "data_hash"
        ].unique()
        if len(hashes) > 1:
            raise CannotJudgeError(
                f"{first} and {second} saw different versions of {dataset}; run both again"
            )
        one, other = self._values(dataset, first, metric), self._values(dataset, second, metric)
        return paired(one, other, f"{first} and {second} on {dataset}")

    def compare_rules(self, dataset: str, method: str, metric: str, rules: Sequence[str]) -> Comparison:
        """Test a method's own rule minus the rule that all methods were given, over the same scores."""
        own = self._rows(self._judged.as_printed, dataset, method, metric)
        equal = self._rows(self._judged.equal, dataset, method, metric)
        found = (set(own["threshold"]), set(equal["threshold"]))
        if found != ({rules[0]}, {rules[1]}):
            raise CannotJudgeError(f"{method} on {dataset} was not read with both {rules[0]} and {rules[1]}")
        self._values(dataset, method, metric)
        if reason := why_not(equal, self._judged.seeds):
            raise CannotJudgeError(f"{method} on {dataset} with {rules[1]}: {reason}")
        return paired(_by_seed(own), _by_seed(equal), f"two rules of {method} on {dataset}")

    def compare_steps(self, dataset: str, method: str, metric: str) -> Comparison:
        """Test the last decoding step minus the first."""
        if self._judged.steps is None:
            raise CannotJudgeError(f"{self._judged.source} keeps no decoding steps per seed")
        self._values(dataset, method, metric)
        rows = self._rows(self._judged.steps, dataset, method, metric)
        rows = rows[rows["step"] > 0]
        if rows.empty:
            raise CannotJudgeError(f"{method} on {dataset} left no decoding steps")
        first, last = (rows[rows["step"] == step] for step in (rows["step"].min(), rows["step"].max()))
        for step in (first, last):
            if reason := why_not(step, self._judged.seeds):
                raise CannotJudgeError(f"steps of {method} on {dataset}: {reason}")
        return paired(_by_seed(last), _by_seed(first), f"two steps of {method} on {dataset}")

    def _values(self, dataset: str, method: str, metric: str) -> pd.Series:
        values, reason = comparable(self._judged, dataset, method, metric)
        if reason:
            raise CannotJudgeError(f"{method} on {dataset}: {reason}")
        return values

    @staticmethod
    def _rows(frame: pd.DataFrame, dataset: str, method: str, metric: str) -> pd.DataFrame:
        return frame[
            (frame["dataset"] == dataset) & (frame["method"] == method) & (frame["metric"] == metric)
        ]


def paired(first: pd.Series, second: pd.Series, what: str) -> Comparison:
    """Test the mean of `first - second` over the same seeds.

    Parameters
    ----------
    first, second : Series
        Values by seed.
    what : str
        Whose, for the message.

    Raises
    ------
    CannotJudgeError
        If the seeds differ between the sides.
    """
    if sorted(first.index) != sorted(second.index):
        raise CannotJudgeError(
            f"{what}: seeds differ between the sides ({_shown(first)} and {_shown(second)}); "
            "run the same seeds of both"
        )
    return corrected_paired((first - second).to_numpy())


def _by_seed(rows: pd.DataFrame) -> pd.Series:
    return rows.set_index("seed")["value"].sort_index()


def _shown(values: pd.Series) -> str:
    return ", ".join(map(str, sorted(values.index)))
