"""What an audit took as known, what it could not judge, and how digits look cut, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmark.audit.inversions import sum_of_loss_and_auc
from benchmark.audit.numbers import CUTS, Facts, Row, Seen
from benchmark.audit.rules.rows_without_labels import lower_bounds


def notes(rows: Sequence[Row], facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """Say how the digits look cut, what was known, and which rules could not be applied."""
    return (*_cut_digits(rows), *_known(rows, facts), *_not_judged(rows, facts))


def _cut_digits(rows: Sequence[Row]) -> Iterator[str]:
    by_table: dict[str, list[int]] = {}
    for row in rows:
        if (total := sum_of_loss_and_auc(row)) is None or row.scored_from_predictions:
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
                for r in CUTS
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
