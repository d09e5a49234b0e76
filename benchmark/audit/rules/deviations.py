"""Means outside a metric's range, and standard deviations that no runs with such a mean can have."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan, sqrt

from benchmark.audit.numbers import TOLERANCE, Seen, Violation


def means_in_range(seen: Seen) -> Iterator[Violation]:
    """Each metric lies in [0, 1]; coverage in [cardinality, q], since it counts at least the row's labels."""
    for metric, number in seen.row.means.items():
        lowest, assumption = _lowest(seen, metric)
        highest, raw = seen.facts.largest(metric), seen.raw(metric)
        if raw.hi < lowest - TOLERANCE:
            text = f"{metric} {number.text} is below the least possible"
            yield Violation("range", (metric,), "impossible", text, raw.hi, lowest, assumption)
        elif raw.lo > highest + TOLERANCE:
            text = f"{metric} {number.text} is above the largest possible"
            yield Violation("range", (metric,), "impossible", text, raw.lo, highest, assumption)


def standard_deviations(seen: Seen) -> Iterator[Violation]:
    """Runs in [a, b] with mean mu have s^2 <= n / (n - 1) (mu - a)(b - mu).

    Bhatia and Davis, American Mathematical Monthly 107 (2000) 353-357, with the factor of the sample
    standard deviation (ddof = 1); a deviation divided by n is smaller still. Unknown n counts as 2.
    """
    for metric, number in seen.row.stds.items():
        if metric not in seen.row.means:
            continue
        a, assumption = _lowest(seen, metric)
        b, mean, n = seen.facts.largest(metric), seen.mean(metric), max(seen.row.n_runs or 2, 2)
        at = min(max((a + b) / 2, mean.lo), mean.hi)  # the product is largest at the middle of the range
        limit = sqrt(n / (n - 1) * max((at - a) * (b - at), 0.0))
        smallest = number.interval(seen.cut).lo
        if smallest > limit + TOLERANCE:
            runs = f"{n} runs" if seen.row.n_runs else "any number of runs"
            text = (
                f"standard deviation {number.text} of {metric} {seen.row.means[metric].text}: "
                f"no {runs} in [{a:g}, {b:g}] have it"
            )
            yield Violation("standard deviation", (metric,), "impossible", text, smallest, limit, assumption)


def negative_deviations(seen: Seen) -> Iterator[Violation]:
    """A standard deviation is not negative."""
    for metric, number in seen.row.stds.items():
        if number.value < 0:
            text = f"standard deviation {number.text} of {metric} is negative"
            yield Violation("standard deviation", (metric,), "impossible", text, nan, nan, "none")


def _lowest(seen: Seen, metric: str) -> tuple[float, str]:
    cardinality = seen.facts.cardinality
    if metric == "coverage" and cardinality is not None:
        return cardinality.lo, f"every run's test rows have at least {cardinality.lo:.3f} labels on average"
    return 0.0, "none"
