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
from math import ceil, log2, sqrt

import numpy as np
import pandas as pd
from scipy import stats

from benchmark.contracts import Array
from benchmark.inference import ALPHA, holm, without_rounding
from benchmark.score.metrics import DIRECTIONS

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
    """Friedman's, corrected for ties; 0, with p = 1, where all methods tie on every data set."""
    p_value: float
    critical_difference: float
    """Nemenyi's, at `ALPHA`; shown beside the pairwise tests, which decide."""
    pairwise: pd.DataFrame
    """(methods, methods) p-values of Wilcoxon's signed-rank tests after Holm's correction."""

    @property
    def n_pairs(self) -> int:
        """Pairs of methods."""
        return len(self.ranks) * (len(self.ranks) - 1) // 2

    @property
    def least_p(self) -> float:
        """The smallest p-value that so few data sets can give a pair after Holm's correction.

        Above `ALPHA` Wilcoxon's test cannot tell any two methods apart, whatever their means.
        """
        return min(1.0, self.n_pairs * 2 / 2**self.n_datasets)

    @property
    def enough_datasets(self) -> int:
        """How many data sets it takes for `least_p` to reach `ALPHA`."""
        return ceil(log2(2 * self.n_pairs / ALPHA))

    @property
    def apart(self) -> pd.DataFrame:
        """(methods, methods) whether two are told apart by Wilcoxon's test.

        Where it cannot (`least_p`), those that are `far_apart`.
        """
        if self.least_p <= ALPHA:
            return self.pairwise <= ALPHA
        apart = pd.DataFrame(False, index=self.ranks.index, columns=self.ranks.index)
        for better, worse, _ in self.far_apart():
            apart.loc[better, worse] = apart.loc[worse, better] = True
        return apart

    def told_apart(self) -> list[tuple[str, str, float]]:
        """Return the pairs that Wilcoxon's test tells apart at `ALPHA`: better method, worse one, p-value."""
        found = ((*pair, float(self.pairwise[pair[0]][pair[1]])) for pair in self._better_first())
        return [one for one in found if one[2] <= ALPHA]

    def far_apart(self) -> list[tuple[str, str, float]]:
        """Return the pairs further apart than the critical difference: better method, worse one, how far.

        None where Friedman's test finds no difference at `ALPHA` [1]_. Mean ranks of a pair depend on what
        else is ranked [2]_.
        """
        if self.p_value > ALPHA:
            return []
        found = ((*pair, self.ranks[pair[1]] - self.ranks[pair[0]]) for pair in self._better_first())
        return [one for one in found if one[2] > self.critical_difference]

    def _better_first(self) -> list[tuple[str, str]]:
        by_rank = self.ranks.sort_values(kind="stable").index
        return list(combinations(by_rank, 2))


def rank_test(means: pd.DataFrame, metric: str) -> RankTest:
    """Compare methods over data sets [1]_, pairs by Wilcoxon's test rather than by mean ranks [2]_.

    Means that differ by rounding alone are ties: nothing here sees them but `without_rounding`.

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
    means = pd.DataFrame(without_rounding(means.to_numpy()), means.index, means.columns)
    ranks = means.rank(axis=1, ascending=DIRECTIONS[metric] == "down")
    chi_square, p_value = _friedman(means)
    size = float(means.abs().to_numpy().max())
    pairs = list(combinations(means.columns, 2))
    adjusted = holm(
        [_wilcoxon(without_rounding(means[first] - means[second], size)) for first, second in pairs]
    )
    pairwise = pd.DataFrame(1.0, index=means.columns, columns=means.columns)
    for (first, second), of_pair in zip(pairs, adjusted, strict=True):
        pairwise.loc[first, second] = pairwise.loc[second, first] = of_pair
    return RankTest(
        metric=metric,
        n_datasets=n,
        ranks=ranks.mean(),
        chi_square=chi_square,
        p_value=p_value,
        critical_difference=critical_difference(k, n),
        pairwise=pairwise,
    )


def _friedman(means: pd.DataFrame) -> tuple[float, float]:
    if means.nunique(axis=1).max() == 1:  # scipy divides 0 by 0 where all tie
        return 0.0, 1.0
    test = stats.friedmanchisquare(*(means[method] for method in means.columns))
    return float(test.statistic), float(test.pvalue)


def _wilcoxon(differences: Array) -> float:
    # Methods that tie everywhere: scipy has nothing to rank.
    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def critical_difference(n_methods: int, n_datasets: int, alpha: float = ALPHA) -> float:
    """Return Nemenyi's critical difference of average ranks, q_alpha sqrt(k (k + 1) / (6 N)) [1]_."""
    q = float(stats.studentized_range.isf(alpha, n_methods, np.inf)) / sqrt(2)
    return q * sqrt(n_methods * (n_methods + 1) / (6 * n_datasets))
