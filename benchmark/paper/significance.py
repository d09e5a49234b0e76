"""Our methods against each other: ranks over data sets where there are enough, else paired tests on each.

It touches no file and knows no method.

References
----------
.. [1] Demsar, J. (2006). Statistical comparisons of classifiers over multiple data sets. JMLR 7, 1-30.
.. [2] Benavoli, A., Corani, G. and Mangili, F. (2016). Should we really use post-hoc tests based on
       mean-ranks? JMLR 17, 1-10.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np
import pandas as pd
from scipy import stats

from benchmark.contracts import MethodSpec
from benchmark.inference import ALPHA, holm
from benchmark.paper.evidence import Judged, comparable
from benchmark.paper.sides import CannotJudgeError, OurSide
from benchmark.score.metrics import METRICS

ENOUGH = 6
"""Data sets from which on ranks are compared: with fewer, Wilcoxon's test of a pair cannot reach 0.05 (five
data sets give at least 2 / 2^5 = 0.0625)."""
PAIR_COLUMNS = ("dataset", "metric", "first", "second", "difference", "low", "high", "p_value", "p_holm", "n")


def one_row_per_method(
    methods: Sequence[MethodSpec], chosen: Sequence[str], named: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keep one row of each method, so that no method enters a ranking twice.

    Rows made with the same estimator are one method: the row that was named outright stays, else the first
    of the paper's rows, else the first.

    Returns
    -------
    kept, left_out
        Ids in the order of `methods`.

    Raises
    ------
    ValueError
        If two rows of one method were named.
    """
    families: dict[type, list[MethodSpec]] = {}
    for spec in methods:
        if spec.id in chosen:
            families.setdefault(spec.estimator, []).append(spec)
    kept = []
    for rows in families.values():
        asked = [spec.id for spec in rows if spec.id in set(named)]
        if len(asked) > 1:
            raise ValueError(
                f"{' and '.join(asked)} are rows of one method, and one row per method enters; name one "
                "of them"
            )
        first = next((spec.id for spec in rows if spec.in_paper), rows[0].id)
        kept.append(asked[0] if asked else first)
    order = [spec.id for spec in methods if spec.id in chosen]
    return tuple(name for name in order if name in kept), tuple(name for name in order if name not in kept)


def usable_means(
    judged: Judged, methods: Sequence[str], datasets: Sequence[str], metric: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return means (data sets, methods) of the data sets that every method can be judged on.

    Returns
    -------
    means, reasons
        For a data set that is left out, why.
    """
    rows, reasons = {}, {}
    for dataset in datasets:
        means = {}
        for method in methods:
            values, reason = comparable(judged, dataset, method, metric)
            if reason:
                reasons[dataset] = reason if reason == "look-alike data" else f"{method}: {reason}"
                break
            means[method] = values.mean()
        else:
            rows[dataset] = means
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(methods)), reasons


@dataclass(frozen=True)
class RankTest:
    """Friedman's test and what follows from it, for one metric."""

    metric: str
    n_datasets: int
    ranks: pd.Series
    """Average rank per method; 1 is best, ties share."""
    chi_square: float
    """Friedman's, corrected for ties."""
    p_value: float
    critical_difference: float
    """Nemenyi's, at `ALPHA`; shown beside the pairwise tests, which decide."""
    pairwise: pd.DataFrame
    """(methods, methods) p-values of Wilcoxon's signed-rank tests after Holm's correction."""


def rank_test(means: pd.DataFrame, metric: str) -> RankTest:
    """Compare methods over data sets [1]_, pairs by Wilcoxon's test rather than by mean ranks [2]_.

    Parameters
    ----------
    means : (data sets, methods) DataFrame
    metric : str
        Id; its direction says which end of the scale is rank 1.

    Raises
    ------
    ValueError
        If there are fewer than three methods or `ENOUGH` data sets, or a mean is nan.
    """
    n, k = means.shape
    if k < 3 or n < ENOUGH:
        raise ValueError(
            f"{k} methods on {n} data sets: ranks need at least 3 methods and {ENOUGH} data sets"
        )
    if means.isna().any(axis=None):
        raise ValueError(f"a mean of {metric} is undefined; ranks need all of them")
    upward = next(m.direction for m in METRICS if m.id == metric) == "up"
    friedman = stats.friedmanchisquare(*(means[method] for method in means.columns))
    pairs = list(combinations(means.columns, 2))
    adjusted = holm([_wilcoxon(means[first] - means[second]) for first, second in pairs])
    pairwise = pd.DataFrame(1.0, index=means.columns, columns=means.columns)
    for (first, second), p_value in zip(pairs, adjusted, strict=True):
        pairwise.loc[first, second] = pairwise.loc[second, first] = p_value
    return RankTest(
        metric=metric,
        n_datasets=n,
        ranks=means.rank(axis=1, ascending=not upward).mean(),
        chi_square=float(friedman.statistic),
        p_value=float(friedman.pvalue),
        critical_difference=critical_difference(k, n),
        pairwise=pairwise,
    )


def _wilcoxon(differences: pd.Series) -> float:
    # Methods that tie everywhere: scipy has nothing to rank.
    return 1.0 if np.allclose(differences, 0, atol=1e-12) else float(stats.wilcoxon(differences).pvalue)


def critical_difference(n_methods: int, n_datasets: int, alpha: float = ALPHA) -> float:
    """Return Nemenyi's critical difference of average ranks, q_alpha sqrt(k (k + 1) / (6 N)) [1]_."""
    q = float(stats.studentized_range.isf(alpha, n_methods, np.inf)) / sqrt(2)
    return q * sqrt(n_methods * (n_methods + 1) / (6 * n_datasets))


def paired_tests(
    judged: Judged, methods: Sequence[str], datasets: Sequence[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Compare each pair of methods on each data set over the shared splits.

    The corrected resampled t-test; Holm's correction over the pairs of one data set and metric.

    Returns
    -------
    tests, problems
        Columns `PAIR_COLUMNS`; `difference` is the first's mean minus the second's, `low` and `high` its
        95 % interval. And why data sets or pairs are missing.
    """
    side = OurSide(judged)
    kept, notes = side.datasets(datasets)
    problems = list(notes)
    frames = []
    for dataset in kept:
        for metric in METRICS:
            rows = []
            for first, second in combinations(methods, 2):
                try:
                    rows.append(_pair(judged, side, dataset, metric.id, first, second))
                except CannotJudgeError as error:
                    problems.append(str(error))
            frame = pd.DataFrame(rows, columns=[name for name in PAIR_COLUMNS if name != "p_holm"])
            frames.append(frame.assign(p_holm=holm(frame["p_value"].tolist())))
    tests = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(PAIR_COLUMNS))
    return tests[list(PAIR_COLUMNS)], tuple(dict.fromkeys(problems))


def _pair(
    judged: Judged, side: OurSide, dataset: str, metric: str, first: str, second: str
) -> tuple[object, ...]:
    test = side.compare(dataset, first, second, metric)
    n = len(judged.as_printed.query("dataset == @dataset and method == @first and metric == @metric"))
    return (dataset, metric, first, second, test.difference, *test.interval(), test.p_value, n)
