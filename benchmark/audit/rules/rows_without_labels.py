"""What rows of one table say about their common share of rows without labels, where nobody knows it.

All methods of a table were tested on the same rows. Each bounds the share D of rows that ranking loss counts
as 0 and example-AUC skips, from below or from above; a row whose lower bound exceeds another row's upper
bound contradicts it. Since the share is inferred from other rows, such a finding is `suspicious`.

Products of averages are not averages of products: with deviations sd over runs, mean((1 - D)(1 - A)) differs
from (1 - mean D)(1 - mean A) by at most sd(A) sd(D), and sd(D) <= sqrt(D (1 - D)) as D lies in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.audit.numbers import TOLERANCE, Seen, Violation

GRID = np.linspace(0, 1, 2001)
"""Shares that are tried; bounds are widened by one step."""
STEP = GRID[1]
RULE = "common share of rows without labels"


@dataclass(frozen=True)
class Bound:
    """One bound on the share, and the cells it comes from."""

    value: float
    metrics: tuple[str, ...]


def lower_bounds(seen: Seen) -> Iterator[Bound]:
    """Yield shares that the row needs at least, positive ones only."""
    q = seen.facts.q
    found: list[Bound] = []
    if seen.has("coverage", "ranking_loss"):
        # Rows with labels have c >= 1 + (q - 1) r.
        value = 1 + (q - 1) * seen.mean("ranking_loss").lo - seen.mean("coverage").hi
        found.append(Bound(min(value, 1.0), ("coverage", "ranking_loss")))
    if seen.has("subset_accuracy", "example_f1"):
        # Exact rows without labels have an F1 of 0.
        value = seen.mean("subset_accuracy").lo - seen.mean("example_f1").hi
        found.append(Bound(value, ("example_f1", "subset_accuracy")))
    if seen.has("ranking_loss", "example_auc"):
        wrong = 1 - seen.mean("example_auc").hi
        needed = (1 - GRID) * wrong - _covariance(seen)
        feasible = GRID[needed <= seen.mean("ranking_loss").hi + TOLERANCE]
        found.append(Bound(float(feasible.min()) - STEP, ("ranking_loss", "example_auc")))
    if seen.has("coverage", "example_auc"):
        wrong = 1 - seen.mean("example_auc").hi
        needed = (1 - GRID) * (1 + (q - 1) * wrong) - (q - 1) * _covariance(seen)
        feasible = GRID[needed <= seen.mean("coverage").hi + TOLERANCE]
        found.append(Bound(float(feasible.min()) - STEP, ("coverage", "example_auc")))
    yield from (bound for bound in found if bound.value > TOLERANCE)


def upper_bound(seen: Seen) -> Bound | None:
    """Return the share that the row allows at most: r <= 2 (1 - a) on rows that AUC does not skip."""
    if not seen.has("ranking_loss", "example_auc"):
        return None
    wrong = 1 - seen.mean("example_auc").lo
    allowed = 2 * (1 - GRID) * wrong + 2 * _covariance(seen)
    feasible = GRID[allowed >= seen.mean("ranking_loss").lo - TOLERANCE]
    if not len(feasible):
        return Bound(0.0, ("ranking_loss", "example_auc"))
    return Bound(min(float(feasible.max()) + STEP, 1.0), ("ranking_loss", "example_auc"))


def contradictions(together: Sequence[Seen]) -> Iterator[tuple[Seen, Violation]]:
    """Compare rows of one table and data set whose share of rows without labels is unknown."""
    allowed = [(bound, seen) for seen in together if (bound := upper_bound(seen)) is not None]
    for seen in together:
        others = [(bound, other) for bound, other in allowed if other is not seen]
        if not others:
            continue
        limit, other = min(others, key=lambda pair: pair[0].value)
        for bound in lower_bounds(seen):
            if bound.value > limit.value + TOLERANCE:
                yield seen, _violation(seen, bound, other, limit)


def _violation(seen: Seen, bound: Bound, other: Seen, limit: Bound) -> Violation:
    mine, theirs = _quote(seen, bound.metrics), _quote(other, limit.metrics)
    return Violation(
        RULE,
        bound.metrics,
        "suspicious",
        f"{mine} need a larger share of test rows without labels than {other.row.title} ({theirs}) allows",
        bound.value,
        limit.value,
        "both methods were tested on the same rows; one of the two is wrong",
    )


def _quote(seen: Seen, metrics: Sequence[str]) -> str:
    return " and ".join(f"{metric} {seen.row.means[metric].text}" for metric in metrics)


def _covariance(seen: Seen) -> np.ndarray:
    """Largest covariance over runs of the AUC and the share, for every share of `GRID`."""
    return seen.spread("example_auc") * np.sqrt(GRID * (1 - GRID))
