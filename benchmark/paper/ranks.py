"""Methods ranked over data sets: Friedman's test, and Wilcoxon's of each pair; it touches no file.

References
----------
.. [1] Demsar, J. (2006). Statistical comparisons of classifiers over multiple data sets. JMLR 7, 1-30.
.. [2] Benavoli, A., Corani, G. and Mangili, F. (2016). Should we really use post-hoc tests based on
       mean-ranks? JMLR 17, 1-10.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np
import pandas as pd
from scipy import stats

from benchmark.inference import ALPHA, holm
from benchmark.score.metrics import METRICS

ENOUGH = 6
"""Data sets from which on ranks are compared: with fewer, Wilcoxon's test of a pair cannot reach 0.05 (five
data sets give at least 2 / 2^5 = 0.0625)."""


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
