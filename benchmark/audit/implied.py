"""What printed numbers imply without being wrong: cardinalities, predicted labels, how digits were cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import fmean
from typing import Any

import pandas as pd

from benchmark.audit.hard import density_interval, density_point
from benchmark.audit.model import READINGS, Facts, Interval, Row, Seen
from benchmark.audit.share import lower_bounds

COLUMNS = ("table", "dataset", "method", "variant", "quantity", "value", "low", "high")


def implied(rows: Sequence[Row], facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Invert averages; intervals cover the unknown digits under both readings, not deviations over runs.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; quantities `cardinality` (of hard rows: labels per test row), `predicted labels`
        (per test row, from Hamming loss, micro-F1 and the cardinality, known or else of the hard rows)
        and `ranking loss + example-AUC`. `value` inverts the digits as they stand; nan where several
        densities fit.
    """
    lines: list[dict[str, Any]] = []
    cardinalities: dict[tuple[str, str], list[_Estimate]] = {}
    for row in rows:
        if row.hard and (found := _cardinality(row, facts[row.dataset])) is not None:
            cardinalities.setdefault((row.table, row.dataset), []).append(found)
            lines.append(_line(row, "cardinality", found))
    for row in rows:
        known = facts[row.dataset]
        if known.cardinality is not None:
            cardinality: _Estimate | None = _Estimate(known.mean_cardinality, known.cardinality)
        else:
            cardinality = _joint(cardinalities.get((row.table, row.dataset), []))
        if cardinality is not None and (predicted := _predicted(row, known, cardinality)) is not None:
            lines.append(_line(row, "predicted labels", predicted))
    for row in rows:
        if (total := _total(row)) is not None:
            lines.append(_line(row, "ranking loss + example-AUC", _Estimate(total, Interval(total, total))))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def notes(rows: Sequence[Row], facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """Say how the digits look cut, what was known, and which rules could not be applied."""
    return (*_cut_digits(rows), *_known(rows, facts), *_not_judged(rows, facts))


def _cut_digits(rows: Sequence[Row]) -> Iterator[str]:
    by_table: dict[str, list[int]] = {}
    for row in rows:
        if (total := _total(row)) is None or row.hard:
            continue
        decimals = row.means["ranking_loss"].decimals
        if decimals == row.means["example_auc"].decimals <= 6:
            by_table.setdefault(row.table, []).append(round((1 - total) * 10**decimals))
    for table, units in by_table.items():
        short, exact = units.count(1), units.count(0)
        if short:
            yield (
                f"{table}: in {short} of {len(units)} rows with soft scores ranking loss and example-AUC sum "
                f"to one unit of the last digit below 1, in {exact} to exactly 1. On rows with some but not "
                "all labels and without ties the sum is 1; rounding prints it one unit short only where both "
                "numbers end on an exact half, truncation wherever a digit is cut off."
            )


def _known(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Iterator[str]:
    for dataset in dict.fromkeys(row.dataset for row in rows):
        known = facts[dataset]
        if known.cardinality is not None and known.unlabelled is not None:
            yield (
                f"{dataset}: taken as known from its labels: {known.mean_cardinality:.3f} labels per row "
                f"({known.cardinality.lo:.3f} to {known.cardinality.hi:.3f} in the test rows of any one run) "
                f"and {known.unlabelled.lo:.1%} to {known.unlabelled.hi:.1%} test rows without labels."
            )


def _not_judged(rows: Sequence[Row], facts: Mapping[str, Facts]) -> Iterator[str]:
    for dataset in dict.fromkeys(row.dataset for row in rows):
        if facts[dataset].degenerate is not None:
            continue
        needed = []
        for row in (row for row in rows if row.dataset == dataset):
            per_reading = [
                {bound.metrics: bound.value for bound in lower_bounds(Seen(row, r, facts[dataset]))}
                for r in READINGS
            ]
            for metrics in per_reading[0].keys() & per_reading[1].keys():
                least = min(bounds[metrics] for bounds in per_reading)
                needed.append(f"{row.method} ({' and '.join(metrics)}) at least {least:.1%}")
        detail = f"; needed by themselves: {', '.join(sorted(set(needed)))}" if needed else ""
        yield (
            f"{dataset}: the share of test rows without labels is unknown, so ranking loss against "
            f"example-AUC can be judged by comparing rows alone{detail}."
        )
    for dataset in dict.fromkeys(row.dataset for row in rows):
        if facts[dataset].cardinality is None:
            yield (
                f"{dataset}: the cardinality is unknown, so coverage and Hamming loss against it cannot be "
                "judged."
            )


@dataclass(frozen=True)
class _Estimate:
    """An inversion of the printed digits as they stand, and of all that they may stand for."""

    value: float
    range: Interval


def _cardinality(row: Row, known: Facts) -> _Estimate | None:
    intervals = [density_interval(Seen(row, reading, known)) for reading in READINGS]
    found = [interval for interval in intervals if interval is not None]
    if not found:
        return None
    hull = Interval(min(i.lo for i in found) * known.q, max(i.hi for i in found) * known.q)
    return _Estimate(density_point(row) * known.q, hull)


def _joint(estimates: Sequence[_Estimate]) -> _Estimate | None:
    estimates = [estimate for estimate in estimates if not isnan(estimate.value)]
    if not estimates:
        return None
    hull = Interval(min(e.range.lo for e in estimates), max(e.range.hi for e in estimates))
    return _Estimate(fmean(e.value for e in estimates), hull)


def _predicted(row: Row, known: Facts, cardinality: _Estimate) -> _Estimate | None:
    """pi = h / (1 - F) - rho, times q; the cardinality at its one value, since rows share it."""
    if not {"hamming_loss", "micro_f1"} <= row.means.keys():
        return None
    ends = []
    for reading in READINGS:
        seen = Seen(row, reading, known)
        loss, f1 = seen.mean("hamming_loss"), seen.mean("micro_f1")
        if f1.hi >= 1:
            return None
        ends += [known.q * loss.lo / (1 - f1.lo), known.q * loss.hi / (1 - f1.hi)]
    middle = known.q * row.means["hamming_loss"].value / (1 - row.means["micro_f1"].value)
    low, high = (max(end - cardinality.value, 0.0) for end in (min(ends), max(ends)))
    return _Estimate(max(middle - cardinality.value, 0.0), Interval(low, high))


def _total(row: Row) -> float | None:
    if not {"ranking_loss", "example_auc"} <= row.means.keys():
        return None
    return row.means["ranking_loss"].value + row.means["example_auc"].value


def _line(row: Row, quantity: str, found: _Estimate) -> dict[str, Any]:
    where = {name: getattr(row, name) for name in COLUMNS[:4]}
    numbers = {"value": found.value, "low": found.range.lo, "high": found.range.hi}
    return {**where, "quantity": quantity, **numbers}
