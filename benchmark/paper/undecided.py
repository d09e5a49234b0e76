"""Why cells are undecided, and how large what would have to be to decide them; it touches no file.

For each cell one number after another is changed, the others as they are, until the rule of
`benchmark.paper.verdicts` decides: the margin, the shift, the printed spread, how often both repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite, nan

import pandas as pd

from benchmark.inference import ALPHA, Summary, equivalence, holm_levels, welch
from benchmark.paper.printed import PAPER_SEEDS
from benchmark.paper.verdicts import NOT_COMPARABLE, UNDECIDED

BEYOND, NEAR, SPREAD = "shift beyond the margin", "shift near the margin", "spread"
"""What keeps a cell open. `BEYOND`: no spread makes it reproduced, and it is not significantly different.
`SPREAD`: not even equal means would be called reproduced. `NEAR`: neither."""
MOST_REPETITIONS = 10_000
STEPS = 60
"""Halvings of an interval."""


@dataclass(frozen=True)
class Undecided:
    """One cell; nan where no value of a number would do."""

    dataset: str
    method: str
    metric: str
    printed_std: float
    ours_std: float
    n_seeds: int
    margin: float
    shift: float
    """Ours minus the centre of the printed interval."""
    low: float
    high: float
    """90 % confidence interval of the shift."""
    p_difference: float
    level: float
    """At which Holm's correction tests the difference."""
    obstacle: str
    margin_needed: float
    """From this margin on it is reproduced."""
    shift_reproduced: float
    """Up to this size of the shift it is reproduced."""
    shift_different: float
    """From this size on it is better or worse."""
    spread_reproduced: float
    """Up to this printed deviation it is reproduced."""
    spread_different: float
    """Up to this printed deviation it is better or worse."""
    repetitions_needed: float
    """How many of the paper and of us alike would decide it."""
    seeds_needed: str
    """How many of ours alone would decide it, or `none`, as the verdict says."""


def why_undecided(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each undecided cell, with the columns of `Undecided`.

    Parameters
    ----------
    verdicts : DataFrame
        As `benchmark.paper.verdicts.judge` returns it, whole: levels depend on all tested cells.
    """
    distinct = verdicts.drop_duplicates(["dataset", "method", "metric"])
    tested = distinct[distinct["verdict"] != NOT_COMPARABLE]
    levels = holm_levels(tested["p_difference"].tolist())
    rows = [
        asdict(_undecided(cell, level))
        for cell, level in zip(tested.to_dict("records"), levels, strict=True)
        if cell["verdict"] == UNDECIDED
    ]
    return pd.DataFrame(rows, columns=[*Undecided.__dataclass_fields__])


def _undecided(cell: Mapping[object, object], level: float) -> Undecided:
    number = {key: float(str(cell[key])) for key in ("centre", "std", "ours_mean", "ours_std", "margin")}
    paper = Summary(number["centre"], number["std"], PAPER_SEEDS)
    ours = Summary(number["ours_mean"], number["ours_std"], int(str(cell["n_seeds"])))
    margin, test = number["margin"], welch(ours, paper)
    shift = abs(test.difference)
    low, high = test.interval(1 - 2 * ALPHA)
    room = margin - (high - low) / 2
    ends = test.interval(1 - level)

    def with_spread(spread: float) -> Summary:
        return replace(paper, std=spread)

    def decided(n: float) -> bool:
        alike = replace(paper, n=round(n)), replace(ours, n=round(n))
        return _reproduced(*alike, margin) or _different(*alike, level)

    return Undecided(
        dataset=str(cell["dataset"]),
        method=str(cell["method"]),
        metric=str(cell["metric"]),
        printed_std=paper.std,
        ours_std=ours.std,
        n_seeds=ours.n,
        margin=margin,
        shift=test.difference,
        low=low,
        high=high,
        p_difference=test.p_value,
        level=level,
        obstacle=SPREAD if room <= 0 else BEYOND if shift >= margin else NEAR,
        margin_needed=shift + (high - low) / 2,
        shift_reproduced=room if room > 0 else nan,
        shift_different=(ends[1] - ends[0]) / 2,
        spread_reproduced=_last(lambda s: _reproduced(with_spread(s), ours, margin), 0.0, paper.std),
        spread_different=_last(lambda s: _different(with_spread(s), ours, level), 0.0, paper.std),
        repetitions_needed=_fewest(decided),
        seeds_needed=str(cell["seeds_needed"]),
    )


def _reproduced(paper: Summary, ours: Summary, margin: float) -> bool:
    return equivalence(welch(ours, paper), margin) <= ALPHA


def _different(paper: Summary, ours: Summary, level: float) -> bool:
    return welch(ours, paper).p_value <= level


def _last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return up to where something holds that holds at `low`, if it does, and not at `high`; else nan."""
    if not holds(low):
        return nan
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _fewest(decided: Callable[[float], bool]) -> float:
    """Return the fewest repetitions, at most `MOST_REPETITIONS`, that decide; nan if these do not."""
    if not decided(MOST_REPETITIONS):
        return nan
    low, high = 2, MOST_REPETITIONS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Causes:
    """What the rows add up to."""

    cells: int
    by_obstacle: Mapping[str, int]
    beyond_before_holm: int
    """Of `BEYOND`, those that differ significantly before Holm's correction."""
    median_margin_ratio: float
    """Needed over given."""
    decided_by: Mapping[int, int]
    """Cells that so many repetitions of both sides would decide."""
    by_spread_alone: int
    """Cells that a smaller printed spread alone would decide."""
    by_ours_alone: int
    """Cells that more seeds of ours alone would decide."""
    spread_by_method: Mapping[str, int]
    """Of `SPREAD`, how many are of which method."""


def causes(undecided: pd.DataFrame, repetitions: tuple[int, ...] = (20, 50, 100)) -> Causes:
    """Count what keeps cells open."""
    counts = undecided["obstacle"].value_counts()
    beyond = undecided[undecided["obstacle"] == BEYOND]
    needed = undecided["repetitions_needed"].fillna(inf)
    by_spread = undecided[["spread_reproduced", "spread_different"]].notna().any(axis=1)
    ratio = float((undecided["margin_needed"] / undecided["margin"]).median()) if len(undecided) else nan
    return Causes(
        cells=len(undecided),
        by_obstacle={name: int(counts.get(name, 0)) for name in (BEYOND, NEAR, SPREAD)},
        beyond_before_holm=int((beyond["p_difference"] <= ALPHA).sum()),
        median_margin_ratio=ratio if isfinite(ratio) else nan,
        decided_by={n: int((needed <= n).sum()) for n in repetitions},
        by_spread_alone=int(by_spread.sum()),
        by_ours_alone=int((undecided["seeds_needed"] != "none").sum()),
        spread_by_method={
            str(name): int(n)
            for name, n in undecided.loc[undecided["obstacle"] == SPREAD, "method"].value_counts().items()
        },
    )
