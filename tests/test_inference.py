"""Every statistic against a published example, an independent implementation or a simulation."""

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from benchmark.inference import (
    ALPHA,
    TEST_TO_TRAIN,
    Comparison,
    Summary,
    corrected_paired,
    difference_power,
    equivalence,
    equivalence_power,
    holm,
    seeds_to_decide,
    welch,
    without_rounding,
)


def summary(values):
    return Summary(float(np.mean(values)), float(np.std(values, ddof=1)), len(values))


def two_samples(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(0.80, 0.02, rng.integers(3, 15)), rng.normal(0.81, 0.01, rng.integers(3, 15))


@pytest.mark.parametrize("seed", range(5))
def test_welch_agrees_with_scipy_on_the_values_themselves(seed):
    first, second = two_samples(seed)
    ours = welch(summary(first), summary(second))
    oracle = stats.ttest_ind(first, second, equal_var=False)
    assert ours.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    assert ours.df == pytest.approx(oracle.df, rel=1e-9)
    interval = oracle.confidence_interval(0.9)
    assert ours.interval(0.9) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_welch_gives_the_numbers_of_the_dossier_on_the_printed_tables():
    # METHODS.md 10.5 and 10.6, from the printed cells of ML2000: t of micro-AUC against DMP, and of micro-F1
    # against the row without modality prediction.
    against_dmp = welch(Summary(0.939, 0.004, 10), Summary(0.952, 0.003, 10))
    assert against_dmp.difference / against_dmp.standard_error == pytest.approx(-8.2, abs=0.05)
    without_order = welch(Summary(0.812, 0.018, 10), Summary(0.729, 0.013, 10))
    assert without_order.difference / without_order.standard_error == pytest.approx(11.8, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.005, 0.02, 0.05])
def test_equivalence_agrees_with_statsmodels_on_the_values_themselves(seed, margin):
    first, second = two_samples(seed)
    oracle = CompareMeans(DescrStatsW(first), DescrStatsW(second)).ttost_ind(
        -margin, margin, usevar="unequal"
    )
    assert equivalence(welch(summary(first), summary(second)), margin) == pytest.approx(oracle[0], rel=1e-9)


@given(
    difference=st.floats(-0.1, 0.1),
    std1=st.floats(1e-4, 0.2),
    std2=st.floats(1e-4, 0.2),
    n1=st.integers(2, 30),
    n2=st.integers(2, 30),
    margin=st.floats(1e-3, 0.1),
)
def test_a_cell_is_equivalent_if_and_only_if_its_90_percent_interval_lies_inside_the_margin(
    difference, std1, std2, n1, n2, margin
):
    comparison = welch(Summary(difference, std1, n1), Summary(0.0, std2, n2))
    p_value = equivalence(comparison, margin)
    low, high = comparison.interval(1 - 2 * ALPHA)
    if abs(p_value - ALPHA) > 1e-9:  # on the boundary itself rounding decides
        assert (p_value < ALPHA) == (-margin < low and high < margin)


def simulated(std1, n1, std2, n2, true_difference, repetitions=20_000):
    """Difference, standard error and df of Welch's test over simulated experiments."""
    rng = np.random.default_rng(7)
    first = rng.normal(true_difference, std1, (repetitions, n1))
    second = rng.normal(0, std2, (repetitions, n2))
    v1, v2 = first.var(axis=1, ddof=1) / n1, second.var(axis=1, ddof=1) / n2
    df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
    return first.mean(axis=1) - second.mean(axis=1), np.sqrt(v1 + v2), df


SETTINGS = [(0.018, 10, 0.014, 10), (0.006, 10, 0.02, 5), (0.01, 10, 0.002, 10)]


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_difference_on_the_margin_is_called_equivalent_in_at_most_five_of_a_hundred(setting):
    margin = 0.03
    difference, error, df = simulated(*setting, margin)
    called = (margin - np.abs(difference)) / error >= stats.t.isf(ALPHA, df)
    # Satterthwaite's df is an approximation; three standard errors of 20,000 draws are 0.005.
    assert called.mean() <= ALPHA + 0.007


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("true_difference", [0.0, 0.008])
def test_the_power_of_the_equivalence_test_is_what_simulation_finds(setting, true_difference):
    margin = 0.02
    difference, error, df = simulated(*setting, true_difference)
    found = ((margin - np.abs(difference)) / error >= stats.t.isf(ALPHA, df)).mean()
    assert equivalence_power(*setting, margin, true_difference) == pytest.approx(found, abs=0.02)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_power_of_the_difference_test_is_what_simulation_finds(setting):
    difference, error, df = simulated(*setting, 0.015)
    found = (difference / error >= stats.t.isf(0.005, df)).mean()
    assert difference_power(*setting, 0.015, alpha=0.01) == pytest.approx(found, abs=0.02)


def test_power_with_equal_known_variances_is_the_textbook_formula():
    # With many observations t becomes normal: 2 Phi(margin / sigma - z) - 1.
    n, std, margin = 100_000, 1.0, 0.015
    expected = 2 * stats.norm.cdf(margin / sqrt(2 / n) - stats.norm.isf(ALPHA)) - 1
    assert equivalence_power(std, n, std, n, margin) == pytest.approx(expected, abs=1e-3)


def test_seeds_needed_decide_and_one_fewer_does_not():
    paper, ours, margin = Summary(0.80, 0.02, 10), Summary(0.81, 0.02, 10), 0.03
    needed = seeds_to_decide(paper, ours, margin)
    assert needed is not None
    assert equivalence_power(0.02, 10, 0.02, needed, margin, 0.01) >= 0.8
    assert equivalence_power(0.02, 10, 0.02, needed - 1, margin, 0.01) < 0.8


def test_no_number_of_seeds_decides_where_the_papers_ten_repetitions_scatter_too_much():
    # The printed micro-AUC of M3LA-Wco: 0.923 +- 0.342 leaves an error of 0.108 however many seeds we run.
    assert seeds_to_decide(Summary(0.923, 0.342, 10), Summary(0.95, 0.008, 10), 0.00975) is None
    assert equivalence_power(0.342, 10, 0.008, inf, 0.00975) < 0.01


def test_numbers_are_compared_without_their_rounding_errors():
    assert len(set(without_rounding([0.8, 0.1 + 0.7, 1.1 - 0.3]).tolist())) == 1
    assert len(set(without_rounding([0.8, 0.8 + 2e-12]).tolist())) == 2
    assert len(set(without_rounding([160 * 0.8, 160 * (0.1 + 0.7), np.nan, np.inf])[:2].tolist())) == 1
    assert without_rounding(128 * (1.1 - 0.3) - 128 * 0.8, size=102.4) == 0
    assert without_rounding([0.25, -3.0]).tolist() == [0.25, -3.0]


def test_values_that_are_all_equal_have_no_deviation_but_that_of_rounding():
    equal = Summary(0.1 + 0.7, 1.2e-16, 10)
    assert welch(equal, Summary(0.8, 0.0, 10)).p_value == 1
    assert welch(equal, Summary(0.805, 0.0, 10)).p_value == 0
    on_the_margin = welch(Summary(0.815, 0.0, 10), Summary(0.81, 0.0, 10))
    assert on_the_margin.difference < 0.005  # by rounding, and so it would seem to lie inside
    assert equivalence(on_the_margin, 0.005) == 1


def test_sides_that_do_not_vary_differ_for_certain_or_not_at_all():
    same = welch(Summary(0.0005, 0.0, 10), Summary(0.0005, 0.0, 10))
    assert (same.p_value, equivalence(same, 0.005)) == (1.0, 0.0)
    apart = welch(Summary(0.1, 0.0, 10), Summary(0.0, 0.0, 10))
    assert (apart.p_value, equivalence(apart, 0.005)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("mean", "std", "n"), [(0.5, 0.1, 1), (np.nan, 0.1, 5), (0.5, np.nan, 5), (0.5, -0.1, 5)]
)
def test_a_summary_that_no_test_can_use_is_refused(mean, std, n):
    with pytest.raises(ValueError, match="a test needs"):
        Summary(mean, std, n)


@pytest.mark.parametrize("margin", [0, -0.01, np.nan])
def test_a_margin_must_be_above_zero(margin):
    with pytest.raises(ValueError, match="must be above 0"):
        equivalence(Comparison(0.0, 0.1, 5, 1.0), margin)


def test_the_corrected_paired_test_by_hand():
    # Differences 1, 2, 3 of n = 3 splits: mean 2, S^2 = 1, variance of the mean (1/3 + 1/9) 1 = 4/9.
    test = corrected_paired([1.0, 2.0, 3.0])
    assert test.standard_error == pytest.approx(2 / 3)
    assert test.df == 2
    assert test.p_value == pytest.approx(2 * stats.t.sf(3.0, 2))


def test_without_overlap_the_corrected_test_is_the_ordinary_paired_one():
    first, second = np.random.default_rng(3).normal(0.8, 0.02, (2, 10))
    test = corrected_paired(first - second, test_to_train=0.0)
    assert test.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-9)


def test_the_corrected_test_keeps_its_level_where_the_ordinary_one_does_not():
    # The model behind the correction: differences of random splits correlate by n_test / n = 0.1.
    rng = np.random.default_rng(11)
    correlation = TEST_TO_TRAIN / (1 + TEST_TO_TRAIN)
    shared, own = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 10))
    differences = sqrt(correlation) * shared + sqrt(1 - correlation) * own
    corrected = np.mean([corrected_paired(row).p_value <= ALPHA for row in differences])
    ordinary = np.mean(stats.ttest_1samp(differences, 0, axis=1).pvalue <= ALPHA)
    assert corrected == pytest.approx(ALPHA, abs=0.0105)  # three standard errors of 4000 draws
    assert ordinary > 0.10


def test_the_corrected_test_keeps_its_level_on_real_overlapping_splits():
    # Two predictors of equal quality: the mean of the training rows and that of half of their features.
    rng = np.random.default_rng(5)
    rejected = []
    for _ in range(400):
        rows = rng.normal(size=(60, 2))
        differences = []
        for _ in range(10):
            order = rng.permutation(60)
            test, train = order[:6], order[6:]
            losses = ((rows[test] - rows[train].mean(axis=0)) ** 2).mean(axis=0)
            differences.append(losses[0] - losses[1])
        rejected.append(corrected_paired(differences).p_value <= ALPHA)
    assert np.mean(rejected) <= ALPHA + 3 * sqrt(ALPHA * (1 - ALPHA) / 400)


def test_paired_differences_that_are_all_equal():
    assert corrected_paired([0.0, 0.0, 0.0]).p_value == 1.0
    assert corrected_paired([0.1 + 0.2 - 0.3, 0.0, 0.0]).p_value == 1.0  # binary noise is no difference
    assert corrected_paired([0.25, 0.25]).p_value == 0.0


@pytest.mark.parametrize("differences", [[0.1], [], [0.1, np.nan, 0.2]])
def test_too_few_or_undefined_paired_differences_are_refused(differences):
    with pytest.raises(ValueError, match="paired differences"):
        corrected_paired(differences)


@pytest.mark.parametrize("number", [1, 2, 7, 40])
def test_holm_agrees_with_statsmodels(number):
    generator = np.random.default_rng(number)
    values = generator.choice([generator.random(number), np.full(number, 0.02), np.zeros(number)], axis=0)
    values[0] = 1e-12
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1], rel=1e-14, abs=0)


def test_holm_on_a_worked_example():
    # Demsar (2006), section 3.2.2: p = .016, .019, .607 against .017, .025, .05: two are rejected.
    assert holm([0.607, 0.016, 0.019]) == pytest.approx([0.607, 0.048, 0.048])
    assert len(holm([])) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, np.nan])
