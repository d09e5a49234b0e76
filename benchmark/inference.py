"""The tests behind every verdict, from means and deviations or paired differences; it knows no method.

References
----------
.. [1] Welch, B. L. (1947). The generalization of Student's problem when several different population
       variances are involved. Biometrika 34, 28-35.
.. [2] Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power approach
       for assessing the equivalence of average bioavailability. J. Pharmacokinet. Biopharm. 15, 657-680.
.. [3] Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52, 239-281.
.. [4] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6, 65-70.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, log10, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from benchmark.contracts import Array

ALPHA = 0.05
TEST_TO_TRAIN = 1 / 9
"""n_test / n_train of the random 90/10 splits that all methods share."""
DIGITS = 12
"""Numbers that agree to so many digits are equal: 0.8 and 0.1 + 0.7 differ by rounding alone."""
_QUANTILES = (np.arange(1000) + 0.5) / 1000
"""Where expectations over the estimated variance are evaluated."""


def without_rounding(values: ArrayLike, size: float | None = None) -> Array:
    """Return numbers at `DIGITS` digits, so that those which differ by rounding errors are equal.

    Whatever ranks means, or asks whether one is as good as another, compares them so.

    Parameters
    ----------
    values : array-like of float
    size : float, optional
        How large the numbers are that these come from, if they are differences; else the largest of `values`.
        Digits are counted from there, and from 1 for what is smaller.
    """
    array = np.asarray(values, dtype=float)
    largest = np.abs(array[np.isfinite(array)]).max(initial=1.0) if size is None else max(size, 1.0)
    return array.round(DIGITS - ceil(log10(largest)))


@dataclass(frozen=True)
class Summary:
    """Mean and sample deviation of n independent repetitions."""

    mean: float
    std: float
    n: int

    def __post_init__(self) -> None:
        if self.n < 2 or not isfinite(self.mean) or not isfinite(self.std) or self.std < 0:
            raise ValueError(
                f"{self}: a test needs a finite mean, a deviation of at least 0 and n of at least 2"
            )


@dataclass(frozen=True)
class Comparison:
    """A difference of means with its uncertainty."""

    difference: float
    standard_error: float
    df: float
    p_value: float
    """Two-sided, of no difference."""

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the confidence interval of the difference."""
        half = (
            float(stats.t.ppf((1 + level) / 2, self.df)) * self.standard_error if self.standard_error else 0.0
        )
        return self.difference - half, self.difference + half


def welch(first: Summary, second: Summary) -> Comparison:
    """Test `first.mean - second.mean` against 0 without assuming equal variances [1]_.

    Two sides that do not vary at all differ for certain (p = 0) or not at all (p = 1).
    """
    error, df = _welch_error(first.std, first.n, second.std, second.n)
    difference = first.mean - second.mean
    lasting = without_rounding([difference, error], max(abs(first.mean), abs(second.mean)))
    if lasting[1] == 0:  # values that are all equal leave a deviation of rounding errors alone
        return Comparison(difference, 0.0, df, float(lasting[0] == 0))
    test = stats.ttest_ind_from_stats(
        first.mean, first.std, first.n, second.mean, second.std, second.n, equal_var=False
    )
    return Comparison(difference, error, df, float(test.pvalue))


def _welch_error(std1: float, n1: float, std2: float, n2: float) -> tuple[float, float]:
    """Return the standard error of a difference of means and Satterthwaite's degrees of freedom.

    `n2` may be infinite: the second mean is then known.
    """
    v1, v2 = std1**2 / n1, std2**2 / n2
    if v1 + v2 == 0:
        return 0.0, inf
    return sqrt(v1 + v2), (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + (v2**2 / (n2 - 1) if v2 else 0.0))


def equivalence(comparison: Comparison, margin: float) -> float:
    """Return the p-value of the two one-sided tests that the true difference lies inside ±margin [2]_.

    The difference is equivalent at level alpha if and only if its (1 - 2 alpha) interval lies inside the
    margin.

    Raises
    ------
    ValueError
        If the margin is not above 0.
    """
    if not margin > 0:
        raise ValueError(f"margin {margin!r}: an equivalence margin must be above 0")
    distance = margin - abs(comparison.difference)
    if comparison.standard_error == 0:
        return float(without_rounding(distance, margin) <= 0)
    return float(stats.t.sf(distance / comparison.standard_error, comparison.df))


def equivalence_power(
    std1: float, n1: float, std2: float, n2: float, margin: float, true_difference: float = 0.0
) -> float:
    """Return the chance that `equivalence` is at most `ALPHA` if this were the true difference.

    The deviations stand for the true ones. Given the estimated error s, the test succeeds if the difference
    falls within margin - t s of 0; the chance is averaged over s^2 / sigma^2 ~ chi^2(df) / df, with
    Satterthwaite's df as in `welch`.
    """
    sigma, df = _welch_error(std1, n1, std2, n2)
    if sigma == 0:
        return float(abs(true_difference) < margin)
    room = np.maximum(margin - stats.t.isf(ALPHA, df) * sigma * _error_ratios(df), 0) / sigma
    shift = true_difference / sigma
    return float(np.mean(stats.norm.cdf(room - shift) - stats.norm.cdf(-room - shift)))


def _error_ratios(df: float) -> Array:
    """Equally likely values of estimated over true standard error."""
    return np.sqrt(stats.chi2.ppf(_QUANTILES, df) / df) if isfinite(df) else np.ones(1)


def difference_power(
    std1: float, n1: float, std2: float, n2: float, true_difference: float, alpha: float = ALPHA
) -> float:
    """Return the chance that `welch` finds this true difference, in the right direction, at level alpha."""
    sigma, df = _welch_error(std1, n1, std2, n2)
    if sigma == 0:
        return float(true_difference != 0)
    critical = stats.t.isf(alpha / 2, df) * _error_ratios(df)
    return float(np.mean(stats.norm.sf(critical - abs(true_difference) / sigma)))


def seeds_to_decide(
    fixed: Summary, ours: Summary, margin: float, alpha: float = ALPHA, power: float = 0.8, most: int = 10_000
) -> int | None:
    """Return how many seeds of ours would decide a cell if both means and deviations stayed as they are.

    The other side's n cannot grow, so its share of the standard error stays however many seeds are run.

    Parameters
    ----------
    fixed
        The side whose n is fixed: the paper's printed cell.
    ours
        What was found with the seeds run so far.
    margin
        Of equivalence.
    alpha
        Level of the test of a difference, for this cell, after the correction for multiplicity.
    power
        Chance with which either test must succeed.
    most
        Where the search ends.

    Returns
    -------
    int or None
        None if `most` seeds would not do either.
    """
    difference = ours.mean - fixed.mean

    def decides(n: int) -> bool:
        setting = (fixed.std, fixed.n, ours.std, n)
        chances = (
            equivalence_power(*setting, margin, difference),
            difference_power(*setting, difference, alpha),
        )
        return max(chances) >= power

    if not decides(most):
        return None
    low, high = 1, 2
    while not decides(high):
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def corrected_paired(
    differences: Sequence[float] | Array, test_to_train: float = TEST_TO_TRAIN
) -> Comparison:
    """Test the mean of paired differences over overlapping random splits against 0 [3]_.

    Training sets of repeated splits overlap, so the differences are correlated and S^2 / n is too small a
    variance of their mean; the corrected resampled t-test takes (1 / n + n_test / n_train) S^2, with n - 1
    degrees of freedom.

    Parameters
    ----------
    differences : (n,) sequence of float
        One per split.
    test_to_train : float
        n_test / n_train.

    Raises
    ------
    ValueError
        If there are fewer than two differences, or one is not finite.
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"{len(values)} paired differences, {np.isnan(values).sum()} of them nan: need two or more"
        )
    mean, df = float(values.mean()), len(values) - 1
    # Differences that are all equal leave a deviation of rounding errors alone.
    constant = np.ptp(values) <= 1e-12 * max(1.0, np.abs(values).max())
    error = 0.0 if constant else sqrt((1 / len(values) + test_to_train) * values.var(ddof=1))
    if error == 0:
        return Comparison(mean, 0.0, df, float(abs(mean) <= 1e-12))
    return Comparison(mean, error, df, float(2 * stats.t.sf(abs(mean) / error, df)))


def holm(p_values: Sequence[float]) -> Array:
    """Return p-values adjusted for their number by Holm's step-down method [4]_.

    Raises
    ------
    ValueError
        If one is not a probability.
    """
    values = np.asarray(p_values, dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values {p_values!r}: each must lie between 0 and 1")
    # Not statsmodels: it collects all garbage at each call, which takes seconds where much is loaded.
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return np.minimum(adjusted, 1.0)


def holm_levels(p_values: Sequence[float]) -> list[float]:
    """Return the level at which Holm tests each p-value: alpha over the number of those not smaller."""
    # Equal but for rounding, which differs between processors: in the order given.
    order = sorted(range(len(p_values)), key=lambda k: float(f"{p_values[k]:.9g}"))
    levels = {k: ALPHA / (len(order) - rank) for rank, k in enumerate(order)}
    return [levels[k] for k in range(len(p_values))]
