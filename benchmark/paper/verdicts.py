"""The rule that decides `reproduced`, `decide`, and the verdict of every printed cell; it touches no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import nan

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.inference import (
    ALPHA,
    Summary,
    equivalence,
    equivalence_power,
    holm,
    holm_levels,
    seeds_to_decide,
    welch,
)
from benchmark.paper.evidence import Cell, Evidence
from benchmark.paper.printed import PAPER_SEEDS
from benchmark.tables.aggregate import exact_mean

REPRODUCED, REBUILT = "reproduced", "reproduced (rebuilt features)"
LEAKED = "reproduced (leaked features)"
BETTER, WORSE, UNDECIDED, NOT_COMPARABLE = "better", "worse", "undecided", "not comparable"
VERDICTS = (REPRODUCED, REBUILT, LEAKED, BETTER, WORSE, UNDECIDED, NOT_COMPARABLE)


@dataclass(frozen=True)
class Verdict:
    """One printed cell and what ours says of it."""

    dataset: str
    method: str
    metric: str
    verdict: str = NOT_COMPARABLE
    reason: str = ""
    provenance: str = ""
    ours_mean: float = nan
    ours_std: float = nan
    n_seeds: int = 0
    difference: float = nan
    """Ours minus the centre of the printed interval."""
    low: float = nan
    """90 % confidence interval of the difference: inside the margin if and only if it is equivalent."""
    high: float = nan
    margin: float = nan
    p_equivalence: float = nan
    p_difference: float = nan
    p_holm: float = nan
    power_at_zero: float = nan
    """Chance of 'reproduced' if there were no true difference."""
    seeds_needed: str = ""
    """For an undecided cell: how many of ours would decide it, or `none`."""


def decide(verdict: Verdict, paper: Summary, direction: str, level: float) -> Verdict:
    """Say whether a tested cell is reproduced, better, worse or undecided, in this order.

    Reproduced: two one-sided tests find the difference inside the margin, also where it is significant.
    Better, worse: the difference is significant after Holm's correction over all tested cells.

    Parameters
    ----------
    verdict : Verdict
        With the numbers of the cell's tests.
    paper : Summary
        The printed cell.
    direction : str
        `up` if more is better.
    level : float
        Of the test of a difference, for this cell, after the correction.
    """
    if verdict.p_equivalence <= ALPHA:
        by_features: dict[str, str] = {Provenance.REBUILT: REBUILT, Provenance.LEAKED: LEAKED}
        return replace(verdict, verdict=by_features.get(verdict.provenance, REPRODUCED))
    if verdict.p_holm <= ALPHA:
        favourable = (verdict.difference > 0) == (direction == "up")
        return replace(verdict, verdict=BETTER if favourable else WORSE)
    ours = Summary(verdict.ours_mean, verdict.ours_std, verdict.n_seeds)
    needed = seeds_to_decide(paper, ours, verdict.margin, level)
    return replace(verdict, verdict=UNDECIDED, seeds_needed="none" if needed is None else str(needed))


def judge(printed: pd.DataFrame, margins: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """Give every printed cell its verdict: not comparable, or what `decide` says.

    Equivalence is tested per cell at `ALPHA`, without a correction for multiplicity, since each cell is its
    own claim; difference with Holm's correction over the distinct comparable cells. A cell that Table III
    repeats is judged once, on Table II's numbers, and shown twice.

    Parameters
    ----------
    printed : DataFrame
        As `benchmark.paper.printed.read_cells` returns it, or some of its rows.
    margins : DataFrame
        As `benchmark.paper.printed.read_margins` returns it.
    evidence : Evidence

    Returns
    -------
    DataFrame
        Columns of `printed` and of `Verdict`, one row per printed cell in the order of `printed`.

    Raises
    ------
    ValueError
        If a printed cell has no margin.
    """
    keys = ["dataset", "method", "metric"]
    limit = margins.set_index(["dataset", "metric"])["margin"]
    distinct = printed.drop_duplicates(keys)
    found = {}
    for row in distinct.to_dict("records"):
        if (row["dataset"], row["metric"]) not in limit.index:
            raise ValueError(f"no margin for {row['metric']} on {row['dataset']}; write margins.csv again")
        paper = Summary(row["centre"], row["std"], PAPER_SEEDS)
        key = (row["dataset"], row["method"], row["metric"])
        margin = limit[row["dataset"], row["metric"]]
        found[key] = (paper, row["direction"], _test(evidence, *key, paper, margin))
    verdicts = _decide_all(found)
    columns = printed.drop(columns=["repeats"]).assign(repeats=printed["repeats"])
    return columns.merge(pd.DataFrame([asdict(verdict) for verdict in verdicts]), on=keys, how="left")


def _test(
    evidence: Evidence, dataset: str, method: str, metric: str, paper: Summary, margin: float
) -> Verdict:
    """Return the numbers of one cell, without the verdict that depends on the other cells."""
    blank = Verdict(dataset, method, metric, provenance=evidence.provenance(dataset), margin=margin)
    values, reason = evidence.comparable(dataset, method, metric)
    if reason:
        mean, std, n = evidence.shown(dataset, method, metric)
        return replace(blank, reason=reason, ours_mean=mean, ours_std=std, n_seeds=n)
    ours = Summary(exact_mean(values), float(values.std()), len(values))
    comparison = welch(ours, paper)
    low, high = comparison.interval(1 - 2 * ALPHA)
    return replace(
        blank,
        ours_mean=ours.mean,
        ours_std=ours.std,
        n_seeds=ours.n,
        difference=comparison.difference,
        low=low,
        high=high,
        p_equivalence=equivalence(comparison, margin),
        p_difference=comparison.p_value,
        power_at_zero=equivalence_power(paper.std, paper.n, ours.std, ours.n, margin),
    )


def _decide_all(found: Mapping[Cell, tuple[Summary, str, Verdict]]) -> list[Verdict]:
    p_values = {key: verdict.p_difference for key, (*_, verdict) in found.items() if not verdict.reason}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    levels = dict(zip(p_values, holm_levels(list(p_values.values())), strict=True))
    return [
        decide(replace(verdict, p_holm=float(adjusted[key])), paper, direction, levels[key])
        if key in p_values
        else verdict
        for key, (paper, direction, verdict) in found.items()
    ]


@dataclass(frozen=True)
class Totals:
    """What the verdicts of distinct cells add up to."""

    printed: int
    distinct: int
    counts: Mapping[str, int]
    tested: int
    reasons: Mapping[str, int]
    """Why cells are not comparable, and how many."""
    false_reproduced: float
    """At most so many of the tested cells are called reproduced by chance: alpha each, reached only if every
    true difference lay exactly on its margin."""
    power_median: float
    power_least: float


def totals(verdicts: pd.DataFrame) -> Totals:
    """Count the verdicts, the 40 cells that Table III repeats only once."""
    distinct = verdicts[~verdicts["repeats"]] if verdicts["repeats"].any() else verdicts
    tested = distinct[distinct["verdict"] != NOT_COMPARABLE]
    counts = distinct["verdict"].value_counts()
    reasons = distinct.loc[distinct["verdict"] == NOT_COMPARABLE, "reason"].value_counts()
    return Totals(
        printed=len(verdicts),
        distinct=len(distinct),
        counts={name: int(counts.get(name, 0)) for name in VERDICTS if name != LEAKED or name in counts},
        tested=len(tested),
        reasons={str(k): int(n) for k, n in reasons.items()},
        false_reproduced=ALPHA * len(tested),
        power_median=float(tested["power_at_zero"].median()),
        power_least=float(tested["power_at_zero"].min()),
    )
