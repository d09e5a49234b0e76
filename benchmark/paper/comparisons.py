"""Methods compared with each other, by the paper's numbers or by ours per seed; it touches no file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.inference import TEST_TO_TRAIN, Comparison, Summary, corrected_paired, welch
from benchmark.paper.evidence import Evidence, rows_of_cell, why_not
from benchmark.paper.printed import PAPER_SEEDS

FEWEST_EQUAL = 5
"""Seeds from which on differences that are all equal are taken for certain: on few test rows two or three
counts agree easily."""
Chosen = tuple[tuple[str, ...], tuple[str, ...]]
"""What may be used, and why the rest may not."""


class CannotJudgeError(ValueError):
    """Numbers that are missing or must not be compared; the message says which and why."""


class Side(Protocol):
    """Whose numbers a claim is checked against: means and comparisons of methods."""

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

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def datasets(self, names: Sequence[str]) -> Chosen:
        """Return the data sets with numbers that are not look-alikes."""
        usable, notes = [], []
        for name in names:
            provenance = self._evidence.provenance(name)
            if not provenance:
                notes.append(f"{name}: not run")
            elif provenance == Provenance.LOOK_ALIKE:
                notes.append(f"{name}: look-alike data")
            else:
                usable.append(name)
        return tuple(usable), tuple(notes)

    def methods(self, names: Sequence[str]) -> Chosen:
        """Return the methods but the reconstructed ones."""
        lost = [name for name in names if name in self._evidence.reconstructed]
        usable = tuple(name for name in names if name not in lost)
        return usable, tuple(f"{name} left out: reconstructed" for name in lost)

    def mean(self, dataset: str, method: str, metric: str) -> float:
        """Return the mean over seeds."""
        return float(self._values(dataset, method, metric).mean())

    def compare(self, dataset: str, first: str, second: str, metric: str) -> Comparison:
        """Return the corrected paired test over seeds."""
        seen = self._evidence.data_hashes
        nothing: frozenset[str] = frozenset()
        if len(seen.get((dataset, first), nothing) | seen.get((dataset, second), nothing)) > 1:
            raise CannotJudgeError(
                f"{first} and {second} saw different versions of {dataset}; run both again"
            )
        one, other = self._values(dataset, first, metric), self._values(dataset, second, metric)
        return self._paired(dataset, one, other, f"{first} and {second} on {dataset}")

    def compare_rules(self, dataset: str, method: str, metric: str, rules: Sequence[str]) -> Comparison:
        """Test a method's own rule minus the rule that all methods were given, over the same scores."""
        own = rows_of_cell(self._evidence.as_printed, dataset, method, metric)
        equal = rows_of_cell(self._evidence.equal, dataset, method, metric)
        found = (set(own["threshold"]), set(equal["threshold"]))
        if found != ({rules[0]}, {rules[1]}):
            raise CannotJudgeError(f"{method} on {dataset} was not read with both {rules[0]} and {rules[1]}")
        self._values(dataset, method, metric)
        if reason := why_not(equal, self._evidence.seeds_of(dataset)):
            raise CannotJudgeError(f"{method} on {dataset} with {rules[1]}: {reason}")
        return self._paired(dataset, _by_seed(own), _by_seed(equal), f"two rules of {method} on {dataset}")

    def compare_steps(self, dataset: str, method: str, metric: str) -> Comparison:
        """Test the last decoding step minus the first."""
        if self._evidence.steps is None:
            raise CannotJudgeError(f"{self._evidence.source} keeps no decoding steps per seed")
        self._values(dataset, method, metric)
        rows = rows_of_cell(self._evidence.steps, dataset, method, metric)
        rows = rows[rows["step"] > 0]
        if rows.empty:
            raise CannotJudgeError(f"{method} on {dataset} left no decoding steps")
        first, last = (rows[rows["step"] == step] for step in (rows["step"].min(), rows["step"].max()))
        for step in (first, last):
            if reason := why_not(step, self._evidence.seeds_of(dataset)):
                raise CannotJudgeError(f"steps of {method} on {dataset}: {reason}")
        return self._paired(dataset, _by_seed(last), _by_seed(first), f"two steps of {method} on {dataset}")

    def _paired(self, dataset: str, first: pd.Series, second: pd.Series, what: str) -> Comparison:
        return paired(first, second, what, self._evidence.test_to_train(dataset))

    def _values(self, dataset: str, method: str, metric: str) -> pd.Series:
        values, reason = self._evidence.comparable(dataset, method, metric)
        if reason:
            raise CannotJudgeError(f"{method} on {dataset}: {reason}")
        return values


def paired(
    first: pd.Series, second: pd.Series, what: str, test_to_train: float = TEST_TO_TRAIN
) -> Comparison:
    """Test the mean of `first - second` over the same seeds.

    Parameters
    ----------
    first, second : Series
        Values by seed.
    what : str
        Whose, for the message.
    test_to_train : float
        n_test / n_train of their splits.

    Raises
    ------
    CannotJudgeError
        If the seeds differ between the sides, or fewer than `FEWEST_EQUAL` of them all differ by the same, so
        that nothing shows how large chance is.
    """
    if sorted(first.index) != sorted(second.index):
        raise CannotJudgeError(
            f"{what}: seeds differ between the sides ({_shown(first)} and {_shown(second)}); "
            "run the same seeds of both"
        )
    test = corrected_paired((first - second).to_numpy(), test_to_train)
    if test.standard_error == 0 and test.p_value < 1 and len(first) < FEWEST_EQUAL:
        raise CannotJudgeError(
            f"{what}: cannot judge: they differ by {test.difference:+.4f} on each of {len(first)} seeds, "
            f"which shows no chance to hold it against; run {FEWEST_EQUAL} seeds or more"
        )
    return test


def _by_seed(rows: pd.DataFrame) -> pd.Series:
    return rows.set_index("seed")["value"].sort_index()


def _shown(values: pd.Series) -> str:
    return ", ".join(map(str, sorted(values.index)))
