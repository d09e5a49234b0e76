"""Says which numbers moved away from a reference, by how much, and what explains it; it touches no file.

Two tiers. Exact: where everything that decides bits agrees, the digests of scores must agree; and scores with
equal digests must give equal metrics anywhere. Band: with the same seeds on both sides, a stochastic method's
cells are held against its refits (`benchmark.drift.band`), all cells of all data sets in one decision. A
method whose refits repeat its reference bit by bit draws nothing at random, so chance explains no difference
of its cells: they may differ by `TOLERANCE`, which other kernels and libraries need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import Array
from benchmark.drift.band import ALPHA, PairedBand, paired_bands, unpaired_band
from benchmark.drift.cause import NOTHING_RECORDED, recorded_changes
from benchmark.drift.pair import PairSides, by_pair, values_of
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
PAIRED, UNPAIRED = "paired band", "unpaired band"
CELL_COLUMNS = (
    *CELL,
    *("tier", "verdict", "reference", "current", "difference", "shift", "noise", "p_value", "reason"),
)
PAIR_COLUMNS = ("dataset", "method", "verdict", "scores", "cause", "reason")

Pair = tuple[str, str]
"""Data set and method."""
Row = dict[str, Any]
UNKNOWN = "the environments are not known"


@dataclass(frozen=True)
class Sides:
    """What is held against what. Frames are long, columns as in a reference's `per_seed.csv`."""

    reference: pd.DataFrame
    current: pd.DataFrame
    noise: pd.DataFrame
    """Refits of the reference: the same columns and `refit` (1, 2, ...); empty where none was measured."""
    bits: Mapping[str, str] = field(default_factory=dict)
    """By data set, why bits may differ between the sides; empty text where they should agree."""
    settings: Mapping[Pair, str] = field(default_factory=dict)
    """What is known to differ between the settings of both sides."""
    missing: Mapping[Pair, str] = field(default_factory=dict)
    """Why some or all current numbers of a pair do not exist."""


@dataclass(frozen=True)
class Drift:
    """The decision, and what it rests on."""

    cells: pd.DataFrame
    """`CELL_COLUMNS`; `difference` is current - reference, `shift` current - mean of reference and refits,
    `noise` the shift's standard deviation under chance."""
    pairs: pd.DataFrame
    """`PAIR_COLUMNS`: one row per data set and method; `verdict` is the gravest of its cells and digests."""
    exact: Mapping[str, str]
    """By data set, why digests were not compared; empty text where they were."""

    @property
    def exit_code(self) -> int:
        """0: nothing moved; 1: something did; 2: nothing did as far as can be judged, which is not all."""
        verdicts = set(self.pairs["verdict"])
        if MOVED in verdicts:
            return 1
        return 2 if CANNOT_JUDGE in verdicts or not verdicts else 0


@dataclass
class _Judged:
    """One pair on its way to a verdict."""

    sides: PairSides
    problem: str
    rows: list[Row] = field(default_factory=list)
    """Of `CELL_COLUMNS`; the verdict is empty until a band has given it."""

    def waiting(self, tier: str) -> list[Row]:
        return [row for row in self.rows if row["tier"] == tier and not row["verdict"]]


def judge(sides: Sides, *, exact: bool = True, other_seeds: bool = False) -> Drift:
    """Hold current numbers against a reference.

    Parameters
    ----------
    sides
        Both sides, and what the outside knows of them.
    exact
        Whether digests are looked at.
    other_seeds
        Whether sides with different seeds may be compared, by an unpaired band.
    """
    before, now, refits = by_pair(sides.reference), by_pair(sides.current), by_pair(sides.noise)
    pairs = list(dict.fromkeys([*before, *now, *sides.missing]))
    nothing = sides.reference.iloc[:0]
    judged = []
    for pair in pairs:
        one = PairSides(
            *pair,
            before.get(pair, nothing),
            now.get(pair, nothing),
            refits.get(pair, nothing),
            sides.missing.get(pair, ""),
        )
        problem = one.problem(other_seeds)
        judged.append(_Judged(one, problem, [] if problem else _cells(one, exact)))
    _judge_paired(judged)
    _judge_unpaired(judged)
    datasets = dict.fromkeys(dataset for dataset, _ in pairs)
    why = {name: sides.bits.get(name, UNKNOWN) if exact else "switched off" for name in datasets}
    summaries = [_summary(one, sides, why[one.sides.dataset]) for one in judged]
    return Drift(
        pd.DataFrame([row for one in judged for row in one.rows], columns=list(CELL_COLUMNS)),
        pd.DataFrame(summaries, columns=list(PAIR_COLUMNS)),
        why,
    )


def _cells(sides: PairSides, exact: bool) -> list[Row]:
    """Judge what needs no band; leave the other cells' verdicts empty."""
    before, now = sides.values
    rows = []
    for cell in before.index:
        row = _blank(sides, cell)
        row |= {"reference": before.loc[cell].mean(), "current": now.loc[cell].mean()}
        row["difference"] = row["current"] - row["reference"]
        if undefined := sides.undefined(cell):
            row |= {"verdict": CANNOT_JUDGE, "reason": undefined}
        elif sides.same_seeds:
            row |= _paired_alone(sides, (now.loc[cell] - before.loc[cell]).abs(), exact)
        else:
            row["tier"] = UNPAIRED
        rows.append(row)
    rows += [_blank(sides, cell) | {"verdict": CANNOT_JUDGE, "reason": why} for cell, why in sides.unshared]
    return rows


def _blank(sides: PairSides, cell: Sequence[str]) -> Row:
    """Return a row of one cell without a verdict."""
    names = dict(zip(CELL, (sides.dataset, sides.method, *cell), strict=True))
    numbers = dict.fromkeys(("reference", "current", "difference", "shift", "noise", "p_value"), float("nan"))
    return {**names, **numbers, "tier": "", "verdict": "", "reason": ""}


def _paired_alone(sides: PairSides, distance: pd.Series, exact: bool) -> Row:
    """Judge a cell of which both sides have the same seeds, as far as that needs no band."""
    same = sides.same_scores.reindex(distance.index)
    if exact and (distance[same] > EQUAL).any():
        return {"tier": "exact", "verdict": MOVED, "reason": "the same scores give another number"}
    if exact and same.all():
        return {"tier": "exact", "verdict": SAME}
    if distance.max() <= EQUAL:
        return {"tier": "tolerance", "verdict": SAME}
    if distance.mean() <= TOLERANCE:
        return {"tier": "tolerance", "verdict": WITHIN}
    if sides.noise_problem:
        return {"tier": "tolerance", "verdict": CANNOT_JUDGE, "reason": sides.noise_problem}
    if sides.deterministic:
        reason = f"moved by {distance.mean():.4g} a seed; its refits do not vary, so chance moves nothing"
        return {"tier": "tolerance", "verdict": MOVED, "reason": reason}
    return {"tier": PAIRED}


def _judge_paired(judged: Sequence[_Judged]) -> None:
    """Give a verdict to each cell that only its refits can judge; all cells count, moved or not."""
    stochastic = [
        one
        for one in judged
        if not one.problem and one.sides.same_seeds and not one.sides.noise_problem
        if not one.sides.deterministic
    ]
    if not any(one.waiting(PAIRED) for one in stochastic):
        return
    groups: dict[tuple[str, tuple[int, ...]], list[_Judged]] = {}
    for one in stochastic:
        groups.setdefault((one.sides.dataset, one.sides.seeds), []).append(one)
    draws, families = [], []
    for members in groups.values():
        blocks, family = _draws(members)
        if family:
            draws.append(blocks)
            families.append(family)
    for family, band in zip(families, paired_bands(draws), strict=True):
        _apply(family, band)


def _draws(members: Sequence[_Judged]) -> tuple[list[Array], list[Row]]:
    """Put the cells of all methods of one data set side by side, one block of joint draws per split."""
    family = [[row for row in one.rows if row["verdict"] != CANNOT_JUDGE] for one in members]
    blocks = []
    for seed in members[0].sides.seeds:
        # Draws are joint over methods, so only refits that all of them have can enter.
        refits = sorted(set.intersection(*(one.sides.refits_of(seed) for one in members)))
        parts = [
            one.sides.draws([(row["metric"], row["threshold"], row["scoring"]) for row in rows], seed, refits)
            for one, rows in zip(members, family, strict=True)
            if rows
        ]
        blocks.append(np.hstack(parts) if parts else np.empty((2, 0)))
    return blocks, [row for rows in family for row in rows]


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


def _judge_unpaired(judged: Sequence[_Judged]) -> None:
    """Judge the cells whose sides have different seeds."""
    waiting = [(one, row) for one in judged for row in one.waiting(UNPAIRED)]
    cells = []
    for one, row in waiting:
        cell = (row["metric"], row["threshold"], row["scoring"])
        before, now = (values_of(side, cell).to_numpy(dtype=float) for side in one.sides.values)
        cells.append((before, now))
    _, p_values = unpaired_band(cells)
    for (_, row), p in zip(waiting, p_values, strict=True):
        moved = p <= ALPHA and abs(row["difference"]) > TOLERANCE
        row |= {"p_value": p, "verdict": MOVED if moved else WITHIN}
        if moved:
            row["reason"] = "farther from the reference than other seeds explain"


def _summary(one: _Judged, sides: Sides, why_not_exact: str) -> Row:
    """Return a row of `PAIR_COLUMNS`."""
    pair = one.sides
    row: Row = {"dataset": pair.dataset, "method": pair.method, "scores": "", "cause": "", "reason": ""}
    if one.problem:
        return row | {"verdict": CANNOT_JUDGE, "reason": one.problem}
    verdicts = {cell["verdict"] for cell in one.rows}
    reasons = [cell["reason"] for cell in one.rows if cell["reason"]]
    same = pair.same_scores
    if not pair.same_seeds:
        row["scores"] = "other seeds"
    elif same.all():
        row["scores"] = "same"
    else:
        row["scores"] = f"differ for {(~same).sum()} of {len(same)} seeds"
        if not why_not_exact:
            verdicts.add(MOVED)
            reasons.insert(0, f"scores {row['scores']} where every bit should agree")
    row["verdict"] = max(verdicts, key=GRAVITY.index)
    row["reason"] = "; ".join(dict.fromkeys(reasons))
    if row["verdict"] == SAME:
        return row
    recorded = recorded_changes(
        pair, sides.settings.get((pair.dataset, pair.method), ""), sides.bits.get(pair.dataset, UNKNOWN)
    )
    if row["verdict"] == WITHIN:
        banded = any(cell["tier"] in (PAIRED, UNPAIRED) for cell in one.rows)
        row["cause"] = "chance explains it" if banded else f"within the tolerance of {TOLERANCE:g}"
        row["cause"] += f" (what differs: {recorded})" if recorded else ""
    else:
        row["cause"] = recorded or (NOTHING_RECORDED if row["verdict"] == MOVED else "")
    return row
