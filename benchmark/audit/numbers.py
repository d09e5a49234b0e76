"""What a printed number stands for, and what is known of its data set; it knows no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from math import nan
from typing import Literal

import pandas as pd

from benchmark.score.metrics import METRICS

Level = Literal["impossible", "suspicious"]
Cut = Literal["rounded", "truncated"]
"""How the digits that are not printed were cut off."""
Key = tuple[str, tuple[str, ...], Level]
"""Rule, metrics and level: the first three fields of a `Violation`."""
CUTS: tuple[Cut, ...] = ("rounded", "truncated")
TOLERANCE = 1e-9
"""Slack of every comparison: sums of float64, nothing else."""
LARGEST = 1e9
"""Beyond any metric: so many labels has no data set."""
COLUMNS = (
    *("table", "dataset", "method", "variant", "metric", "mean", "std", "n_runs"),
    *("scored_from_predictions", "bold"),
)
"""The long frame that is audited; `mean` and `std` are texts as printed, empty where nothing is."""


@dataclass(frozen=True)
class Interval:
    """A closed interval."""

    lo: float
    hi: float


@dataclass(frozen=True)
class Number:
    """A printed number: its text decides how many digits are known."""

    text: str
    value: float
    decimals: int

    @classmethod
    def parse(cls, text: object) -> Number | None:
        """Read a printed number; None for an empty text or nan.

        Raises
        ------
        ValueError
            If the text is no number.
        """
        stripped = "" if text is None else str(text).strip()
        if stripped.lower() in ("", "nan", "none", "<na>"):
            return None
        try:
            exact = Decimal(stripped)
        except InvalidOperation:
            raise ValueError(f"{stripped!r} is not a number; correct the table") from None
        if not exact.is_finite() or abs(float(exact)) > LARGEST:
            raise ValueError(f"{stripped!r} is not a finite number up to {LARGEST:g}; correct the table")
        exponent = exact.as_tuple().exponent
        return cls(stripped, float(exact), max(0, -int(exponent)))

    def interval(self, cut: Cut) -> Interval:
        """Return all values that are printed like this."""
        unit = 10.0**-self.decimals
        if cut == "rounded":
            return Interval(self.value - unit / 2, self.value + unit / 2)
        return Interval(self.value, self.value + unit)


@dataclass(frozen=True)
class Facts:
    """What is known of a data set's test rows. None means unknown: rules that need it then say so.

    Intervals must hold for the test rows of every single run, not only on average.
    """

    q: int
    cardinality: Interval | None = None
    """Labels per row of a run's test rows."""
    mean_cardinality: float = nan
    """Labels per row on average over runs, for what the numbers imply; only with `cardinality`."""
    unlabelled: Interval | None = None
    """Share of rows without any label."""
    fully_labelled: Interval | None = None
    """Share of rows with all q labels."""

    def __post_init__(self) -> None:
        if self.q < 2:
            raise ValueError(f"q = {self.q}: metrics over labels need at least two of them")

    @property
    def degenerate(self) -> Interval | None:
        """Share of rows that ranking loss counts as 0 and example-AUC skips."""
        if self.unlabelled is None or self.fully_labelled is None:
            return None
        lo, hi = (
            self.unlabelled.lo + self.fully_labelled.lo,
            self.unlabelled.hi + self.fully_labelled.hi,
        )
        return Interval(min(lo, 1.0), min(hi, 1.0))

    def largest(self, metric: str) -> float:
        """Return the upper end of a metric's range."""
        return float(self.q) if metric == "coverage" else 1.0


@dataclass(frozen=True)
class Row:
    """One method on one data set in one table."""

    table: str
    dataset: str
    method: str
    variant: str
    """Tells apart rows of the same method, such as two threshold rules; may be empty."""
    n_runs: int | None
    scored_from_predictions: bool
    """Whether scores were 0/1 predictions."""
    means: Mapping[str, Number] = field(default_factory=dict)
    stds: Mapping[str, Number] = field(default_factory=dict)
    bold: Mapping[str, bool] = field(default_factory=dict)

    @property
    def several_runs(self) -> bool:
        return self.n_runs != 1

    @property
    def title(self) -> str:
        """Return data set, method and variant for messages."""
        return "/".join(part for part in (self.dataset, self.method, self.variant) if part)


@dataclass(frozen=True)
class Seen:
    """A row, its digits taken as cut in one way."""

    row: Row
    cut: Cut
    facts: Facts

    def raw(self, metric: str) -> Interval:
        """Return where the mean may lie, by its digits alone."""
        return self.row.means[metric].interval(self.cut)

    def mean(self, metric: str) -> Interval:
        """Return where the mean may lie, by its digits and the metric's range."""
        raw, top = self.raw(metric), self.facts.largest(metric)
        return Interval(min(max(raw.lo, 0.0), top), max(min(raw.hi, top), 0.0))

    def spread(self, metric: str) -> float:
        """Return the largest standard deviation over runs (divided by n) that the row allows."""
        if not self.row.several_runs:
            return 0.0
        std = self.row.stds.get(metric)
        half_range = self.facts.largest(metric) / 2  # Popoviciu's inequality
        return half_range if std is None else min(std.interval(self.cut).hi, half_range)

    def has(self, *metrics: str) -> bool:
        """Tell whether all these means are printed."""
        return all(metric in self.row.means for metric in metrics)


@dataclass(frozen=True)
class Violation:
    """A rule that one row breaks, its digits cut in one way."""

    rule: str
    metrics: tuple[str, ...]
    level: Level
    statement: str
    """What is wrong, with the printed numbers; the same either way."""
    found: float
    """What the row says at its most favourable, nan where the statement says all."""
    limit: float
    """What it must not exceed, or fall below."""
    assumption: str


@dataclass(frozen=True)
class Finding:
    """A rule that one row breaks however its digits were cut."""

    level: Level
    rule: str
    table: str
    dataset: str
    method: str
    variant: str
    metrics: tuple[str, ...]
    statement: str
    numbers: Mapping[str, tuple[float, float]]
    """By cut: the row at its most favourable, and the limit that it breaks. Empty for marks."""
    assumption: str


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Gather a long frame with `COLUMNS` into rows, in order of appearance.

    Raises
    ------
    ValueError
        If a column is missing, a metric is unknown, a number unreadable, or a cell appears twice.
    """
    _check(frame)
    rows = []
    for key, part in frame.groupby(["table", "dataset", "method", "variant"], sort=False):
        table, dataset, method, variant = map(str, key)
        first = part.iloc[0]
        metrics = part["metric"].astype(str).tolist()
        means, stds = (
            {
                m: number
                for m, text in zip(metrics, part[column], strict=True)
                if (number := Number.parse(text))
            }
            for column in ("mean", "std")
        )
        rows.append(
            Row(
                *(table, dataset, method, variant),
                n_runs=None if pd.isna(first["n_runs"]) else int(first["n_runs"]),
                scored_from_predictions=bool(first["scored_from_predictions"]),
                means=means,
                stds=stds,
                bold={m: bool(b) for m, b in zip(metrics, part["bold"], strict=True) if not pd.isna(b)},
            )
        )
    return rows


def _check(frame: pd.DataFrame) -> None:
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"a table to audit needs the columns {', '.join(COLUMNS)}; {missing} missing")
    known = {metric.id for metric in METRICS}
    unknown = [metric for metric in frame["metric"].unique() if metric not in known]
    if unknown:
        raise ValueError(f"metric {unknown[0]!r} is not one of {', '.join(sorted(known))}")
    twice = frame[frame.duplicated(["table", "dataset", "method", "variant", "metric"])]
    if len(twice):
        where = ", ".join(str(twice.iloc[0][column]) for column in COLUMNS[:5])
        raise ValueError(f"the cell ({where}) appears twice in one table; keep one")


def level_of(row: Row) -> Level:
    """Return how certain an inversion is: exact for one run, at most suspicious for averages."""
    return "suspicious" if row.several_runs else "impossible"
