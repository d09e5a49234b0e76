"""From one number per seed to printed cells: mean, bold, grey, k/n or missing; it knows no layout."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.score.metrics import DIRECTIONS
from benchmark.tables import names
from benchmark.tables.aggregate import aggregate
from benchmark.tables.layout import Cell
from benchmark.tables.results import Results

MISSING = "–"


class Footnotes:
    """Letters for why cells are missing or what qualifies them, in the order in which they are met."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letter(self, reason: str) -> str:
        """Return the letter of a reason: a, b, ..., z, aa, ab, ..."""
        if reason not in self._letters:
            k = len(self._letters)
            self._letters[reason] = ("" if k < 26 else chr(ord("a") + k // 26 - 1)) + chr(ord("a") + k % 26)
        return self._letters[reason]

    def lines(self) -> tuple[str, ...]:
        """Return one note per letter."""
        return tuple(f"({letter}) {reason}" for reason, letter in self._letters.items())


@dataclass(frozen=True)
class Average:
    """The mean over a cell's seeds, and what qualifies it."""

    mean: float
    std: float
    n_seeds: int
    n_failed: int
    n_expected: int
    """The number of seeds asked for, or found on the data set where that is more."""
    provenance: Provenance

    @classmethod
    def of(cls, row: Mapping[Hashable, Any], n_expected: int) -> Average:
        """Take the numbers from a row of the aggregated frame."""
        provenance = Provenance(row["provenance"])
        return cls(row["mean"], row["std"], row["n_seeds"], row["n_failed"], n_expected, provenance)

    @property
    def complete(self) -> bool:
        """Whether every seed that was asked for, or run by another method on the same data, finished."""
        return self.n_failed == 0 and self.n_seeds == self.n_expected

    @property
    def competes(self) -> bool:
        """Whether the cell may be the best of its column."""
        return self.complete and self.provenance is not Provenance.LOOK_ALIKE and not isnan(self.mean)

    @property
    def text(self) -> str:
        """`mean±std` to three decimals; `(k/n)` where k of n seeds finished."""
        deviation = "" if isnan(self.std) else f"±{self.std:.3f}"
        seeds = "" if self.complete else f" ({self.n_seeds}/{self.n_expected})"
        return f"{self.mean:.3f}{deviation}{seeds}"

    def cell(self, bold: bool = False, text: str | None = None) -> Cell:
        """Print it, or `text` instead, grey on a look-alike."""
        grey = self.provenance is Provenance.LOOK_ALIKE
        return Cell(self.text if text is None else text, bold=bold, grey=grey)


def seeds_expected(results: Results) -> dict[str, int]:
    """Return how many seeds make a cell complete, by data set of which there is any record."""
    # Seeds, not their count: of two methods with one seed each, neither may have run the other's.
    found = results.as_printed.groupby("dataset")["seed"].nunique()
    return {str(dataset): max(int(n), len(results.seeds)) for dataset, n in found.items()}


class Averages:
    """The averages of one reading of all records, as printed cells, and why cells are missing.

    Parameters
    ----------
    results : Results
    per_seed : DataFrame
        One of its frames, `as_printed` or `equal`.
    """

    def __init__(self, results: Results, per_seed: pd.DataFrame) -> None:
        self._results = results
        self._specs = {spec.id: spec for spec in results.methods}
        self.reconstructed = frozenset(spec.id for spec in results.methods if spec.reconstructed)
        """Methods that must take no bold, which readers would credit to the authors of another one."""
        self.n_expected = seeds_expected(results)
        self._averages = {
            (row["dataset"], row["method"], row["metric"]): Average.of(row, self.n_expected[row["dataset"]])
            for row in aggregate(per_seed).to_dict("records")
        }

    def title(self, method: str) -> str:
        """Print a method's name, with the mark of a reconstruction."""
        return names.method_title(method) + (names.RECONSTRUCTED_MARK if method in self.reconstructed else "")

    def column(
        self, dataset: str, metric: str, methods: Sequence[str], contenders: Iterable[str], notes: Footnotes
    ) -> dict[str, Cell]:
        """Print one column of a table.

        Parameters
        ----------
        dataset, metric : str
        methods : sequence of str
            Ids of the rows.
        contenders : iterable of str
            Ids among which the best is bold: the paper's rows but the reconstructed ones.
            Cells that share the best printed value share the bold; a cell without a competitor takes none.
        notes : Footnotes
            Takes the reasons of missing cells, and what means are over that mix devices.

        Returns
        -------
        dict of str to Cell
        """
        found = {method: self._averages.get((dataset, method, metric)) for method in methods}
        printed = {m: round(a.mean, 3) for m in contenders if (a := found.get(m)) is not None and a.competes}
        best = (max if DIRECTIONS[metric] == "up" else min)(printed.values(), default=None)
        winners = {m for m, mean in printed.items() if mean == best and len(printed) > 1}
        return {m: self._cell(dataset, m, average, m in winners, notes) for m, average in found.items()}

    def _cell(self, dataset: str, method: str, average: Average | None, bold: bool, notes: Footnotes) -> Cell:
        if average is None or isnan(average.mean):
            return Cell(f"{MISSING} ({notes.letter(self._reason(dataset, method, average))})")
        if mixed := self._results.mixed_devices.get((dataset, method)):
            return average.cell(bold, f"{average.text} ({notes.letter(mixed)})")
        return average.cell(bold)

    def _reason(self, dataset: str, method: str, average: Average | None) -> str:
        if average is not None:
            return "all seeds failed" if average.n_seeds == 0 else "undefined on the test rows of a seed"
        spec = self._specs.get(method)
        if spec is None:
            return "not implemented"
        if dataset not in {listed.id for listed in self._results.datasets}:
            return "data set not part of this run"
        if spec.datasets is not None and dataset not in spec.datasets:
            return "runs on this data set only when named"
        return self._results.missing_reason
