"""What averages of a row say when they are inverted: labels per row, predicted labels; it judges nothing.

Where scores are 0/1 predictions, micro-AUC = (TPR + TNR) / 2. From Hamming loss h and micro-F1 F follow, per
label cell, the hits t = h F / (2 (1 - F)); then the density rho of the labels solves

    2 AUC - 1 = t / rho - (h - rho + t) / (1 - rho),      t <= rho <= t + h.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from benchmark.audit.numbers import CUTS, Facts, Interval, Row, Seen

COLUMNS = ("table", "dataset", "method", "variant", "quantity", "value", "low", "high")

EDGES = np.linspace(1e-4, 1 - 1e-4, 4001)
"""Densities that are tried, as cells between neighbouring edges."""
DENSITY_METRICS = ("hamming_loss", "micro_f1", "micro_auc")
PERFECT = 1 - 1e-6
"""An F1 beyond this says nothing about the density: there are no errors to weigh."""


def inverted(rows: Sequence[Row], facts: Mapping[str, Facts]) -> pd.DataFrame:
    """Invert averages; intervals cover the unknown digits, rounded or truncated, not deviations over runs.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; quantities `cardinality` (labels per test row, of rows scored from 0/1
        predictions), `predicted labels`
        (per test row, from Hamming loss, micro-F1 and the cardinality, known or else of those rows)
        and `ranking loss + example-AUC`. `value` inverts the digits as they stand; nan where several
        densities fit.
    """
    lines: list[dict[str, Any]] = []
    cardinalities: dict[tuple[str, str], list[_Estimate]] = {}
    for row in rows:
        if row.scored_from_predictions and (found := _cardinality(row, facts[row.dataset])) is not None:
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
        if (total := sum_of_loss_and_auc(row)) is not None:
            lines.append(_line(row, "ranking loss + example-AUC", _Estimate(total, Interval(total, total))))
    return pd.DataFrame(lines, columns=list(COLUMNS))


@dataclass(frozen=True)
class _Estimate:
    """An inversion of the printed digits as they stand, and of all that they may stand for."""

    value: float
    range: Interval


def _cardinality(row: Row, known: Facts) -> _Estimate | None:
    intervals = [density_interval(Seen(row, cut, known)) for cut in CUTS]
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
    for cut in CUTS:
        seen = Seen(row, cut, known)
        loss, f1 = seen.mean("hamming_loss"), seen.mean("micro_f1")
        if f1.hi >= 1:
            return None
        ends += [known.q * loss.lo / (1 - f1.lo), known.q * loss.hi / (1 - f1.hi)]
    middle = known.q * row.means["hamming_loss"].value / (1 - row.means["micro_f1"].value)
    low, high = (max(end - cardinality.value, 0.0) for end in (min(ends), max(ends)))
    return _Estimate(max(middle - cardinality.value, 0.0), Interval(low, high))


def sum_of_loss_and_auc(row: Row) -> float | None:
    """Return ranking loss plus example-AUC as printed, None where one is missing."""
    if not {"ranking_loss", "example_auc"} <= row.means.keys():
        return None
    return row.means["ranking_loss"].value + row.means["example_auc"].value


def _line(row: Row, quantity: str, found: _Estimate) -> dict[str, Any]:
    where = {name: getattr(row, name) for name in COLUMNS[:4]}
    numbers = {"value": found.value, "low": found.range.lo, "high": found.range.hi}
    return {**where, "quantity": quantity, **numbers}


def feasible_densities(seen: Seen, with_spread: bool = True) -> np.ndarray | None:
    """Tell for every cell of `EDGES` whether its density fits.

    Parameters
    ----------
    seen : Seen
        A row scored from 0/1 predictions.
    with_spread : bool
        Whether runs may deviate from the mean; otherwise only unknown digits count.

    Returns
    -------
    (4000,) bool array, or None where a number is missing or F1 is perfect
    """
    if not seen.has(*DENSITY_METRICS):
        return None
    loss, f1, auc = (_widened(seen, metric, with_spread) for metric in DENSITY_METRICS)
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


def density_interval(seen: Seen, with_spread: bool = False) -> Interval | None:
    """Return the smallest interval of densities that fit, by digits alone or with deviations over runs."""
    fits = feasible_densities(seen, with_spread)
    return None if fits is None or not fits.any() else hull(fits)


def density_point(row: Row) -> float:
    """Return the density that the digits as they stand imply, nan where none or several do."""
    loss, f1, auc = (row.means[metric].value for metric in DENSITY_METRICS)
    hits = loss * f1 / (2 * (1 - f1))

    def gap(density: np.ndarray | float) -> Any:
        return hits / density - (loss - density + hits) / (1 - density) - (2 * auc - 1)

    inside = EDGES[(hits <= EDGES) & (hits + loss >= EDGES)]
    signs = np.sign(gap(inside))
    starts = np.flatnonzero(signs[1:] != signs[:-1])
    if len(starts) != 1:
        return float("nan")
    return float(brentq(gap, inside[starts[0]], inside[starts[0] + 1]))


def hull(fits: np.ndarray) -> Interval:
    """Return the smallest interval that holds all densities that fit."""
    inside = np.flatnonzero(fits)
    return Interval(float(EDGES[inside[0]]), float(EDGES[inside[-1] + 1]))


def _widened(seen: Seen, metric: str, with_spread: bool) -> Interval:
    mean = seen.mean(metric)
    spread = seen.spread(metric) if with_spread else 0.0
    return Interval(max(mean.lo - spread, 0.0), min(mean.hi + spread, 1.0))
