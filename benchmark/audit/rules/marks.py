"""Bold marks, and two tables that print the same cell; it compares printed digits and inverts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from itertools import combinations

from benchmark.audit.numbers import Finding, Level, Number, Row
from benchmark.inference import DIGITS
from benchmark.score.metrics import DIRECTIONS


def bold_marks(rows: Sequence[Row]) -> Iterator[Finding]:
    """In each column of a table that marks its best by bold, the best printed number is bold and no other.

    Of numbers that print alike any may be bold: the digits that decide are not printed.
    """
    columns: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        for metric in row.bold:
            if metric in row.means:
                columns.setdefault((row.table, row.dataset, row.variant, metric), []).append(row)
    marking = {(row.table, row.variant) for row in rows if any(row.bold.values())}
    for (table, _, variant, metric), column in columns.items():
        if (table, variant) in marking and len(column) > 1:
            yield from _column(metric, column)


def _column(metric: str, column: Sequence[Row]) -> Iterator[Finding]:
    best = [row for row in column if not any(_better(metric, other, row) for other in column)]
    named = ", ".join(f"{row.method} {row.means[metric].text}" for row in best)
    for row in column:
        if row.bold[metric] and row not in best:
            text = f"{metric} {row.means[metric].text} is bold, but better is printed: {named}"
            yield _finding("bold", row, (metric,), text, "bold marks the best mean", "suspicious")
    if best and not any(row.bold[metric] for row in best):
        row = best[0]
        text = f"the best {metric} is not bold: {named}"
        yield _finding("bold", row, (metric,), text, "bold marks the best mean", "suspicious")


def two_tables(rows: Sequence[Row]) -> Iterator[Finding]:
    """A cell that two tables print must be the same number, up to the digits that one of them leaves out."""
    cells: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row.dataset, row.method, row.variant), []).append(row)
    for same in cells.values():
        for first, second in combinations(same, 2):
            yield from _pair(first, second)


def _pair(first: Row, second: Row) -> Iterator[Finding]:
    for what, ours, theirs in (
        ("mean", first.means, second.means),
        ("standard deviation", first.stds, second.stds),
    ):
        for metric, number in theirs.items():
            if metric in ours and _differ(number, ours[metric]):
                text = (
                    f"{what} of {metric} is {number.text} here and {ours[metric].text} in {first.table}, "
                    "whether digits are rounded or cut off"
                )
                assumption = "both tables print the same runs in the same way"
                yield _finding("two tables", second, (metric,), text, assumption, "impossible")


def _finding(
    rule: str, row: Row, metrics: tuple[str, ...], text: str, assumption: str, level: Level
) -> Finding:
    where = (row.table, row.dataset, row.method, row.variant)
    return Finding(level, rule, *where, metrics, text, {}, assumption)


def _better(metric: str, one: Row, other: Row) -> bool:
    a, b = one.means[metric], other.means[metric]
    ahead = a.value > b.value if DIRECTIONS[metric] == "up" else a.value < b.value
    return ahead and _differ(a, b)


def _differ(a: Number, b: Number) -> bool:
    """Tell whether two texts cannot be the same number, cut either way."""
    finer, coarser = (a, b) if a.decimals >= b.decimals else (b, a)
    unit = Decimal(1).scaleb(-min(coarser.decimals, DIGITS))  # the last digits of a float are noise
    printed = Decimal(coarser.text).quantize(unit)
    possible = {Decimal(finer.text).quantize(unit, way) for way in (ROUND_HALF_EVEN, ROUND_DOWN)}
    return printed not in possible
