"""Ranks and claims over data sets, each by the rules that judge the paper; it touches no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pandas as pd

from benchmark.paper.claim import Claim
from benchmark.paper.claims import check_claims
from benchmark.paper.evidence import Evidence
from benchmark.paper.ranks import ENOUGH, RankTest, rank_test
from benchmark.paper.significance import usable_means
from benchmark.score.metrics import METRICS
from benchmark.studies.beyond.rules import Rules

RANK_COLUMNS = ("rows", "over", "metric", "method", "mean_rank", "n_datasets", "friedman_p")
PAIR_COLUMNS = ("rows", "over", "metric", "first", "second", "p_holm", "better")


@dataclass(frozen=True)
class Ranking:
    """Some methods over some data sets: a test for each metric, or why there is none."""

    rows: str
    over: str
    methods: tuple[str, ...]
    tests: tuple[RankTest, ...]
    left_out: tuple[str, ...]
    """Data sets that could not enter, and why."""


def rank_all(rules: Rules, evidence: Evidence) -> list[Ranking]:
    """Rank each group of methods over each group of data sets."""
    return [
        _ranking(evidence, rows, methods, over, datasets)
        for rows, methods in rules.rankings.items()
        for over, datasets in rules.over.items()
    ]


def _ranking(
    evidence: Evidence, rows: str, methods: tuple[str, ...], over: str, datasets: Sequence[str]
) -> Ranking:
    means = {metric.id: usable_means(evidence, methods, datasets, metric.id) for metric in METRICS}
    reasons = [f"{name}: {why}" for _, found in means.values() for name, why in found.items()]
    enough = min(len(frame) for frame, _ in means.values()) >= ENOUGH
    tests = tuple(rank_test(frame, metric) for metric, (frame, _) in means.items()) if enough else ()
    return Ranking(rows, over, methods, tests, tuple(dict.fromkeys(reasons)))


def ranks_frame(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """Return the average ranks, with Friedman's p and Nemenyi's critical difference."""
    rows = [
        (
            one.rows,
            one.over,
            test.metric,
            method,
            rank,
            test.n_datasets,
            test.p_value,
            test.critical_difference,
        )
        for one in rankings
        for test in one.tests
        for method, rank in test.ranks.items()
    ]
    return pd.DataFrame(rows, columns=[*RANK_COLUMNS, "critical_difference"])


def pairs_frame(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """Return Wilcoxon's tests of each pair after Holm's correction, and whose average rank is better."""
    rows = []
    for one in rankings:
        for test in one.tests:
            for first, second in combinations(one.methods, 2):
                ahead = test.ranks[first] - test.ranks[second]
                better = first if ahead < 0 else second if ahead > 0 else ""
                p_holm = test.pairwise.loc[first, second]
                rows.append((one.rows, one.over, test.metric, first, second, p_holm, better))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def judge_claims(rules: Rules, claims: Sequence[Claim], evidence: Evidence) -> pd.DataFrame:
    """Judge the general claims on each data set and over each group of them.

    Returns
    -------
    DataFrame
        As `check_claims`, with the column `over`: a data set's id, or a group's name.
    """
    scopes: Mapping[str, tuple[str, ...]] = {**{name: (name,) for name in rules.seeds}, **rules.over}
    general = rules.general(claims)
    frames = [
        check_claims(
            [replace(claim, datasets=datasets, sides=("ours",)) for claim in general],
            pd.DataFrame(),
            evidence,
        ).assign(over=over)
        for over, datasets in scopes.items()
    ]
    return pd.concat(frames, ignore_index=True)
