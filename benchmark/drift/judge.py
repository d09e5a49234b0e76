"""Says which numbers moved away from a reference, by how much, and what explains it; it touches no file.

Two tiers. Exact: where everything that decides bits agrees, the digests of scores must agree; and scores with
equal digests must give equal metrics anywhere. Band: a stochastic method's cells are held against its
refits (`benchmark.drift.band`), all cells of all data sets in one decision. A method whose refits repeat its
reference bit by bit draws nothing at random, so chance explains no difference of its cells: they may differ
by `TOLERANCE`, which other kernels and libraries need. What the reference does not have is named and decides
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import Array
from benchmark.drift.band import ALPHA, PairedBand, paired_bands
from benchmark.drift.cause import NOTHING_RECORDED, recorded_changes
from benchmark.drift.pair import Measure, PairComparison, ReferenceAndCurrent
from benchmark.tables.aggregate import CELL

TOLERANCE = 5e-4
"""Mean absolute difference over seeds that no table shows, since tables round to three decimals. It is what
rounding in other kernels may do to a deterministic method; a stochastic one's cells never count as moved
below it either. On few test rows one changed prediction is more than that, and then counts. Other OpenBLAS
kernels (Nehalem) and torch's without vector instructions left every metric of BR, CC, their fair variants and
M3LA on ML2000 at the tiny profile as it was."""
EQUAL = 1e-9
"""Difference of metrics of the same scores: summation order alone."""
SAME, WITHIN, MOVED, CANNOT_JUDGE = "same", "within", "moved", "cannot judge"
GRAVITY = (SAME, WITHIN, CANNOT_JUDGE, MOVED)
NOT_IN_REFERENCE = "not in the reference"
"""The verdict on a method or a data set that there is nothing to hold against."""
PAIRED = "paired band"
CELL_COLUMNS = (
    *CELL,
    *("tier", "verdict", "reference", "current", "difference", "shift", "noise", "p_value", "reason"),
)
PAIR_COLUMNS = ("dataset", "method", "verdict", "scores", "cause", "reason")
UNKNOWN = "the environments are not known"

Row = dict[str, Any]
"""Of `CELL_COLUMNS`; the verdict is empty until a band has given it."""
PairAndRows = tuple[PairComparison, list[Row]]


@dataclass(frozen=True)
class Drift:
    """The decision, and what it rests on."""

    cells: pd.DataFrame
    """`CELL_COLUMNS`; `difference` is current - reference, `shift` current - mean of reference and refits,
    `noise` the shift's standard deviation under chance."""
    pairs: pd.DataFrame
    """`PAIR_COLUMNS`: one row per data set and method; `verdict` is the gravest of its cells and digests."""
    why_bits_may_differ: Mapping[str, str]
    """By data set of the reference, why digests were not compared; empty text where they were."""

    @property
    def exit_code(self) -> int:
        """0: nothing moved; 1: something did; 2: nothing did as far as can be judged, which is not all."""
        verdicts = set(self.pairs["verdict"]) - {NOT_IN_REFERENCE}
        if MOVED in verdicts:
            return 1
        return 2 if CANNOT_JUDGE in verdicts or not verdicts else 0


def judge(both: ReferenceAndCurrent) -> Drift:
    """Hold current numbers against a reference."""
    judged = [(pair, _rows_without_band(pair)) for pair in both.pairs()]
    _judge_by_refits([(pair, rows) for pair, rows in judged if rows])
    referenced = dict.fromkeys(pair.dataset for pair, _ in judged if not pair.new)
    why = {name: both.why_bits_may_differ.get(name, UNKNOWN) for name in referenced}
    summaries = [
        _summary(pair, rows, why, both.changed_settings.get((pair.dataset, pair.method), ""))
        for pair, rows in judged
    ]
    return Drift(
        pd.DataFrame([row for _, rows in judged for row in rows], columns=list(CELL_COLUMNS)),
        pd.DataFrame(summaries, columns=list(PAIR_COLUMNS)),
        why,
    )


def _rows_without_band(pair: PairComparison) -> list[Row]:
    """Judge the cells of a pair as far as that needs no band; leave the verdicts of the others empty."""
    if pair.new or pair.problem:
        return []
    before, now = pair.values
    # Row by row, as the order in which a frame sums its rows depends on what else it holds.
    means = zip(*(values.apply(pd.Series.mean, axis=1) for values in pair.values), strict=True)
    distances = (now - before).abs().to_numpy()
    rows = []
    for measure, (reference, current), distance in zip(before.index, means, distances, strict=True):
        row = _blank(pair, measure)
        row |= {"reference": reference, "current": current, "difference": current - reference}
        if undefined := pair.undefined.get(measure):
            row |= {"verdict": CANNOT_JUDGE, "reason": undefined}
        else:
            row |= _verdict_without_band(pair, distance)
        rows.append(row)
    lacking = pair.not_in_both.items()
    return rows + [_blank(pair, cell) | {"verdict": CANNOT_JUDGE, "reason": why} for cell, why in lacking]


def _blank(pair: PairComparison, measure: Measure) -> Row:
    """Return a row of one cell without a verdict."""
    names = dict(zip(CELL, (pair.dataset, pair.method, *measure), strict=True))
    numbers = dict.fromkeys(("reference", "current", "difference", "shift", "noise", "p_value"), float("nan"))
    return {**names, **numbers, "tier": "", "verdict": "", "reason": ""}


def _verdict_without_band(pair: PairComparison, distance: Array) -> Row:
    """Judge a cell by its distance from the reference on each seed, as far as that needs no band."""
    same = pair.same_scores.to_numpy()
    if (distance[same] > EQUAL).any():
        return {"tier": "exact", "verdict": MOVED, "reason": "the same scores give another number"}
    if same.all():
        return {"tier": "exact", "verdict": SAME}
    if distance.max() <= EQUAL:
        return {"tier": "tolerance", "verdict": SAME}
    if distance.mean() <= TOLERANCE:
        return {"tier": "tolerance", "verdict": WITHIN}
    if pair.refits_problem:
        return {"tier": "tolerance", "verdict": CANNOT_JUDGE, "reason": pair.refits_problem}
    if pair.deterministic:
        reason = f"moved by {distance.mean():.4g} a seed; its refits do not vary, so chance moves nothing"
        return {"tier": "tolerance", "verdict": MOVED, "reason": reason}
    return {"tier": PAIRED}


def _judge_by_refits(judged: Sequence[PairAndRows]) -> None:
    """Give a verdict to each cell that only its refits can judge; all cells count, moved or not."""
    stochastic = [(pair, rows) for pair, rows in judged if not pair.refits_problem and not pair.deterministic]
    if all(row["verdict"] for _, rows in stochastic for row in rows):
        return
    groups: dict[tuple[str, tuple[int, ...]], list[PairAndRows]] = {}
    for pair, rows in stochastic:
        groups.setdefault((pair.dataset, pair.seeds), []).append((pair, rows))
    draws, families = [], []
    for members in groups.values():
        blocks, family = _draws(members)
        if family:
            draws.append(blocks)
            families.append(family)
    for family, band in zip(families, paired_bands(draws), strict=True):
        _apply(family, band)


def _draws(members: Sequence[PairAndRows]) -> tuple[list[Array], list[Row]]:
    """Put the cells of all methods of one data set side by side, one block of joint draws per split."""
    shared = [row for pair, rows in members for row in rows[: len(pair.values[0])]]
    usable = [row["verdict"] != CANNOT_JUDGE for row in shared]
    blocks = []
    for seed in members[0][0].seeds:
        # Draws are joint over methods, so only refits that all of them have can enter.
        refits = sorted(set.intersection(*(pair.refits_of(seed) for pair, _ in members)))
        draws = np.hstack([pair.draws(seed, refits) for pair, _ in members])
        blocks.append(np.compress(usable, draws, axis=1))
    return blocks, [row for row, good in zip(shared, usable, strict=True) if good]


def _apply(family: Sequence[Row], band: PairedBand) -> None:
    for row, shift, noise, p in zip(family, band.shift, band.noise, band.p_values, strict=True):
        row |= {"shift": shift, "noise": noise, "p_value": p}
        if row["verdict"]:
            continue
        if band.smallest_p > ALPHA:
            reason = (
                f"too few refits: the smallest possible p-value is {band.smallest_p:.3g}, needed {ALPHA:g}; "
                f"measure more with: reference --refit-noise {band.refits_needed}"
            )
            row |= {"verdict": CANNOT_JUDGE, "reason": reason}
        else:
            row["verdict"] = MOVED if p <= ALPHA else WITHIN
            if p <= ALPHA:
                row["reason"] = "farther from its refits than chance takes any cell"


def _summary(pair: PairComparison, rows: Sequence[Row], why: Mapping[str, str], settings: str) -> Row:
    """Return a row of `PAIR_COLUMNS`.

    Parameters
    ----------
    why
        By data set, why bits may differ.
    settings
        What is known to differ between the settings of both.
    """
    summary: Row = {"dataset": pair.dataset, "method": pair.method, "scores": "", "cause": "", "reason": ""}
    if pair.new:
        known = pair.dataset in why
        remedy = "drift --accept" if known else "a reference of its data set: reference --refit-noise N"
        return summary | {"verdict": NOT_IN_REFERENCE, "reason": f"judged once it is in one, by {remedy}"}
    if pair.problem:
        return summary | {"verdict": CANNOT_JUDGE, "reason": pair.problem}
    verdicts = {row["verdict"] for row in rows}
    reasons = [row["reason"] for row in rows if row["reason"]]
    same, environments = pair.same_scores, why[pair.dataset]
    if same.all():
        summary["scores"] = "same"
    else:
        summary["scores"] = f"differ for {(~same).sum()} of {len(same)} seeds"
        if not environments:
            verdicts.add(MOVED)
            reasons.insert(0, f"scores {summary['scores']} where every bit should agree")
    verdict = max(verdicts, key=GRAVITY.index)
    summary |= {"verdict": verdict, "reason": "; ".join(dict.fromkeys(reasons))}
    if verdict != SAME:
        summary["cause"] = _cause(rows, verdict, recorded_changes(pair, settings, environments))
    return summary


def _cause(rows: Sequence[Row], verdict: str, recorded: str) -> str:
    """Say what explains a verdict, given what is on record as different."""
    if verdict == WITHIN:
        banded = any(row["tier"] == PAIRED for row in rows)
        explained = "chance explains it" if banded else f"within the tolerance of {TOLERANCE:g}"
        return explained + (f" (what differs: {recorded})" if recorded else "")
    return recorded or (NOTHING_RECORDED if verdict == MOVED else "")
