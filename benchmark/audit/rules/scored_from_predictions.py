"""Rows scored from 0/1 predictions give away the label density; it must not know which rows they are.

See `benchmark.audit.inversions`. For several runs this inverts averages, so each number may lie one printed
standard deviation away from its mean, and findings are `suspicious` at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmark.audit.inversions import DENSITY_METRICS, feasible_densities, hull
from benchmark.audit.numbers import Seen, Violation, level_of


def densities(seen: Seen) -> Iterator[Violation]:
    """Some density must fit the row, and the known cardinality must be among those that do."""
    fits = feasible_densities(seen)
    if fits is None:
        return
    printed = ", ".join(f"{metric} {seen.row.means[metric].text}" for metric in DENSITY_METRICS)
    key = ("hard scores", DENSITY_METRICS, level_of(seen.row))
    assumption = "scores are the 0/1 predictions; numbers may be off by one printed standard deviation"
    if not fits.any():
        text = f"no label density gives {printed} with hard scores"
        yield Violation(*key, text, np.nan, np.nan, assumption)
        return
    known, q = seen.facts.cardinality, seen.facts.q
    if known is None:
        return
    fitting = hull(fits)
    if fitting.lo * q > known.hi + 1e-6 or fitting.hi * q < known.lo - 1e-6:
        more = fitting.lo * q > known.hi
        found, limit = (fitting.lo * q, known.hi) if more else (fitting.hi * q, known.lo)
        text = f"{printed} with hard scores imply another number of labels per row than there is"
        yield Violation(*key, text, found, limit, assumption)


def disagreements(together: Sequence[Seen]) -> Iterator[tuple[Seen, Violation]]:
    """Two such rows on the same data must fit a common density."""
    known = [(seen, fits) for seen in together if (fits := _fitting(seen)) is not None]
    for i, (seen, fits) in enumerate(known):
        for other, theirs in known[:i]:
            if (fits & theirs).any():
                continue
            mine, others = (hull(f) for f in (fits, theirs))
            text = f"implies another label density than {other.row.title}, both with hard scores"
            found, limit = (mine.lo, others.hi) if mine.lo > others.hi else (mine.hi, others.lo)
            assumption = (
                "both were tested on the same rows; numbers may be off by one printed standard deviation"
            )
            level = level_of(seen.row)
            yield seen, Violation("hard scores", DENSITY_METRICS, level, text, found, limit, assumption)


def _fitting(seen: Seen) -> np.ndarray | None:
    fits = feasible_densities(seen)
    return fits if fits is not None and fits.any() else None
