"""Rows whose scores are 0/1 predictions give away the label density; it must not know which rows they are.

With hard scores micro-AUC = (TPR + TNR) / 2. From Hamming loss h and micro-F1 F follow, per label cell, the
hits t = h F / (2 (1 - F)); then the density rho of the labels solves

    2 AUC - 1 = t / rho - (h - rho + t) / (1 - rho),      t <= rho <= t + h.

For several runs this inverts averages, so each number may lie one printed standard deviation away from its
mean, and findings are `suspicious` at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import brentq

from benchmark.audit.model import Interval, Row, Seen, Violation, level_of

EDGES = np.linspace(1e-4, 1 - 1e-4, 4001)
"""Densities that are tried, as cells between neighbouring edges."""
NEEDED = ("hamming_loss", "micro_f1", "micro_auc")
PERFECT = 1 - 1e-6
"""An F1 beyond this says nothing about the density: there are no errors to weigh."""


def feasible_densities(seen: Seen, with_spread: bool = True) -> np.ndarray | None:
    """Tell for every cell of `EDGES` whether its density fits.

    Parameters
    ----------
    seen : Seen
        A row with hard scores.
    with_spread : bool
        Whether runs may deviate from the mean; otherwise only unknown digits count.

    Returns
    -------
    (4000,) bool array, or None where a number is missing or F1 is perfect
    """
    if not seen.has(*NEEDED):
        return None
    loss, f1, auc = (_widened(seen, metric, with_spread) for metric in NEEDED)
    if f1.hi > PERFECT:
        return None
    corners = list(product((loss.lo, loss.hi), (f1.lo, f1.hi)))
    hits = [h * f / (2 * (1 - f)) for h, f in corners]
    # For fixed F linear in h, for fixed h monotone in F: the extremes lie in the corners.
    informed = np.array(
        [t / EDGES - (h - EDGES + t) / (1 - EDGES) for t, (h, _) in zip(hits, corners, strict=True)]
    )
    low, high = informed.min(axis=0), informed.max(axis=0)
    cell_low, cell_high = np.minimum(low[1:], low[:-1]), np.maximum(high[1:], high[:-1])
    fits = (cell_low <= 2 * auc.hi - 1 + 1e-6) & (cell_high >= 2 * auc.lo - 1 - 1e-6)
    most = max(t + h for t, (h, _) in zip(hits, corners, strict=True))
    return fits & (EDGES[1:] >= min(hits) - 1e-6) & (EDGES[:-1] <= most + 1e-6)


def densities(seen: Seen) -> Iterator[Violation]:
    """Some density must fit the row, and the known cardinality must be among those that do."""
    fits = feasible_densities(seen)
    if fits is None:
        return
    printed = ", ".join(f"{metric} {seen.row.means[metric].text}" for metric in NEEDED)
    key = ("hard scores", NEEDED, level_of(seen.row))
    assumption = "scores are the 0/1 predictions; numbers may be off by one printed standard deviation"
    if not fits.any():
        text = f"no label density gives {printed} with hard scores"
        yield Violation(*key, text, np.nan, np.nan, assumption)
        return
    known, q = seen.facts.cardinality, seen.facts.q
    if known is None:
        return
    implied = _hull(fits)
    if implied.lo * q > known.hi + 1e-6 or implied.hi * q < known.lo - 1e-6:
        low = implied.lo * q > known.hi
        found, limit = (implied.lo * q, known.hi) if low else (implied.hi * q, known.lo)
        text = f"{printed} with hard scores imply another number of labels per row than there is"
        yield Violation(*key, text, found, limit, assumption)


def disagreements(together: Sequence[Seen]) -> Iterator[tuple[Seen, Violation]]:
    """Two hard rows on the same data must fit a common density."""
    known = [(seen, fits) for seen in together if (fits := _some(seen)) is not None]
    for i, (seen, fits) in enumerate(known):
        for other, theirs in known[:i]:
            if (fits & theirs).any():
                continue
            mine, others = (_hull(f) for f in (fits, theirs))
            text = f"implies another label density than {other.row.title}, both with hard scores"
            found, limit = (mine.lo, others.hi) if mine.lo > others.hi else (mine.hi, others.lo)
            assumption = (
                "both were tested on the same rows; numbers may be off by one printed standard deviation"
            )
            level = level_of(seen.row)
            yield seen, Violation("hard scores", NEEDED, level, text, found, limit, assumption)


def density_interval(seen: Seen, with_spread: bool = False) -> Interval | None:
    """Return the smallest interval of densities that fit, by digits alone or with deviations over runs."""
    fits = feasible_densities(seen, with_spread)
    return None if fits is None or not fits.any() else _hull(fits)


def density_point(row: Row) -> float:
    """Return the density that the digits as they stand imply, nan where none or several do."""
    loss, f1, auc = (row.means[metric].value for metric in NEEDED)
    hits = loss * f1 / (2 * (1 - f1))

    def gap(density: np.ndarray | float) -> Any:
        return hits / density - (loss - density + hits) / (1 - density) - (2 * auc - 1)

    inside = EDGES[(hits <= EDGES) & (hits + loss >= EDGES)]
    signs = np.sign(gap(inside))
    starts = np.flatnonzero(signs[1:] != signs[:-1])
    if len(starts) != 1:
        return float("nan")
    return float(brentq(gap, inside[starts[0]], inside[starts[0] + 1]))


def _some(seen: Seen) -> np.ndarray | None:
    fits = feasible_densities(seen)
    return fits if fits is not None and fits.any() else None


def _hull(fits: np.ndarray) -> Interval:
    inside = np.flatnonzero(fits)
    return Interval(float(EDGES[inside[0]]), float(EDGES[inside[-1] + 1]))


def _widened(seen: Seen, metric: str, with_spread: bool) -> Interval:
    mean = seen.mean(metric)
    spread = seen.spread(metric) if with_spread else 0.0
    return Interval(max(mean.lo - spread, 0.0), min(mean.hi + spread, 1.0))
