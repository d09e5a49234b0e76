"""Methods against each other: a published worked example, one row per method, and too few data sets."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from evidence_examples import METHODS, Specs, cell, evidence, exact
from scipy import stats

from benchmark.contracts import MethodSpec
from benchmark.inference import corrected_paired
from benchmark.paper.ranks import critical_difference, rank_test
from benchmark.paper.significance import Significance, one_row_per_method, paired_tests, usable_means
from benchmark.paper.significance_text import apart_text, significance_text
from benchmark.paper.write import ranks_figure, write_significance
from benchmark.score.metrics import METRICS

# Demsar (2006), table 6: AUC of C4.5 without and with tuning of m and cf. The last two of `voting` print the
# same three digits but were ranked 2 and 3.
DEMSAR = pd.DataFrame(
    [
        *([0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967]),
        *([0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931]),
        *([0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875]),
        *([1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669]),
        *([0.972, 0.981, 0.97501, 0.975], [0.957, 0.978, 0.946, 0.970]),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


def test_ranks_friedman_and_critical_difference_of_the_published_example():
    test = rank_test(DEMSAR, "macro_auc")
    assert test.ranks.tolist() == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert test.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(2.291 * np.sqrt(20 / 84), abs=5e-3)
    # The paper's 9.28 is without a correction for ties; with it, the statistic is divided by 1 - sum(t^3 - t)
    # / (N k (k^2 - 1)): one row of four equal values and three rows of two.
    uncorrected = test.chi_square * (1 - (60 + 3 * 6) / (14 * 4 * 15))
    assert uncorrected == pytest.approx(9.28, abs=5e-3)


def test_pairs_are_compared_by_wilcoxons_test_with_holms_correction():
    test = rank_test(DEMSAR, "macro_auc")
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    raw = [stats.wilcoxon(DEMSAR.iloc[:, i], DEMSAR.iloc[:, j]).pvalue for i, j in pairs]
    smallest = int(np.argmin(raw))
    i, j = pairs[smallest]
    assert test.pairwise.iloc[i, j] == test.pairwise.iloc[j, i] == pytest.approx(6 * raw[smallest])


def test_of_a_loss_the_smallest_ranks_first():
    upward, downward = rank_test(DEMSAR, "macro_auc"), rank_test(1 - DEMSAR, "ranking_loss")
    assert downward.ranks.tolist() == pytest.approx(upward.ranks.tolist())


def test_methods_that_tie_everywhere_are_not_told_apart():
    test = rank_test(DEMSAR.assign(copy=DEMSAR["C4.5"]), "macro_auc")
    assert test.pairwise.loc["C4.5", "copy"] == 1.0


def always_ahead(n_datasets, n_methods=5):
    """Means of which each method is better than all behind it on every data set, by another margin."""
    margins = 1 + np.arange(n_datasets)[:, None] / 100
    return pd.DataFrame(0.9 - 0.05 * np.arange(n_methods) * margins, columns=list("ABCDE")[:n_methods])


@pytest.mark.parametrize(("n_datasets", "n_methods"), [(6, 5), (8, 5), (8, 3), (9, 5), (6, 3)])
def test_the_least_p_value_is_reached_where_one_method_is_always_ahead(n_datasets, n_methods):
    test = rank_test(always_ahead(n_datasets, n_methods), "macro_auc")
    assert test.pairwise.to_numpy()[0, 1:] == pytest.approx(test.least_p)


def test_so_few_data_sets_that_no_two_can_be_told_apart_are_said_and_ranks_stand_in():
    few, enough = (rank_test(always_ahead(n), "macro_auc") for n in (8, 9))
    assert few.told_apart() == []
    assert len(enough.told_apart()) == 10
    # Nemenyi, five methods: 2.728 sqrt(5 * 6 / (6 * 8)) = 2.157 ranks.
    assert few.far_apart() == [("A", "D", 3.0), ("A", "E", 4.0), ("B", "E", 3.0)]
    assert few.apart.to_numpy().sum() == 6
    assert enough.apart.to_numpy().sum() == 20
    text = apart_text([few])
    assert "- macro AUC: A before D, E; B before E" in text
    assert "none, as 8 data sets are too few: after Holm's correction over 10 pairs no p-value can" in text
    assert "be below about 0.078; it would take 9" in text
    assert "too few" not in apart_text([enough])


def test_without_a_difference_by_friedmans_test_no_ranks_are_far_apart():
    few = rank_test(always_ahead(8), "macro_auc")
    assert few.p_value < 0.001
    assert replace(few, p_value=0.06).far_apart() == []
    assert not replace(few, p_value=0.06).apart.any(axis=None)


@pytest.mark.parametrize("n_methods", [3, 4, 5])
def test_as_many_data_sets_as_it_takes_and_no_fewer_tell_apart(n_methods):
    enough = rank_test(always_ahead(9, n_methods), "macro_auc").enough_datasets
    assert rank_test(always_ahead(enough, n_methods), "macro_auc").told_apart()
    assert not rank_test(always_ahead(enough - 1, n_methods), "macro_auc").told_apart()


def test_bars_of_a_diagram_are_the_same_in_every_process():
    joined = replace(rank_test(always_ahead(8), "macro_auc"), critical_difference=2.5)
    bars = [
        line.get_xdata() for line in ranks_figure(joined).axes[0].lines if len(set(line.get_ydata())) == 1
    ]
    bars = [list(bar) for bar in bars if len(bar) > 1]
    assert sorted(bars) == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]


SUM = 0.1 + 0.7
"""0.7999999999999999: the same as 0.8 but for rounding."""


def test_means_that_differ_by_rounding_alone_share_a_rank():
    rows = [(0.8, SUM, 0.5)] * 3 + [(0.9, 0.6, 0.5)] * 3
    test = rank_test(pd.DataFrame(rows, columns=["A", "B", "C"]), "macro_auc")
    # A: three times 1.5, three times 1; B: three times 1.5, three times 2.
    assert test.ranks.tolist() == [1.25, 1.75, 3]
    # 12 N / (k (k + 1)) = 6 times squared distances from rank 2, over 1 - 3 (2^3 - 2) / (N k (k^2 - 1)).
    assert test.chi_square == pytest.approx(6 * (0.75**2 + 0.25**2 + 1) / (1 - 18 / 144))
    loss = rank_test(pd.DataFrame(rows, columns=["A", "B", "C"]), "ranking_loss")
    assert loss.ranks.tolist() == [2.75, 2.25, 1]


@pytest.mark.parametrize("scale", [1, 16])
def test_where_all_methods_tie_there_is_nothing_to_find(scale):
    equal = pd.DataFrame([(1.1 - 0.3, 0.8, SUM)] * 6, columns=["A", "B", "C"]) * scale
    assert stats.friedmanchisquare(*equal.to_numpy().T).pvalue < 0.003  # what rounding alone would find
    test = rank_test(equal, "coverage")
    assert (test.chi_square, test.p_value) == (0, 1)
    assert test.ranks.tolist() == [2, 2, 2]
    assert (test.pairwise == 1).all(axis=None)


def test_differences_that_are_equal_but_for_rounding_tie_in_wilcoxons_test():
    rows = [(0.8, 0.7, 0.1)] * 7 + [(0.2, 0.3, 0.0)]
    assert 0.8 - 0.7 > 0.3 - 0.2
    test = rank_test(pd.DataFrame(rows, columns=["A", "B", "C"]), "macro_auc")
    by_sign = stats.wilcoxon([1] * 7 + [-1]).pvalue
    assert by_sign > 0.03  # and one negative of the smallest rank would have 4 / 2^8
    assert test.pairwise.loc["A", "B"] == pytest.approx(by_sign)


@pytest.mark.parametrize("frame", [DEMSAR.iloc[:5], DEMSAR.iloc[:, :2]])
def test_too_few_data_sets_or_methods_have_no_ranks(frame):
    with pytest.raises(ValueError, match="ranks need at least 3 methods and 6 data sets"):
        rank_test(frame, "macro_auc")


def test_an_undefined_mean_has_no_rank():
    with pytest.raises(ValueError, match="undefined"):
        rank_test(DEMSAR.mask(DEMSAR == 0.775), "macro_auc")


def test_one_row_per_method_enters():
    every = [spec.id for spec in METHODS]
    assert one_row_per_method(METHODS, every)[0] == ("M3LA", "BR", "CC")
    assert one_row_per_method(METHODS, every, named=["BR-fair"])[0] == ("M3LA", "BR-fair", "CC")
    assert one_row_per_method(METHODS, ["BR-fair", "M3LA"])[1] == ()
    with pytest.raises(ValueError, match="BR and BR-fair are rows of one method"):
        one_row_per_method(METHODS, every, named=["BR", "BR-fair"])


def numbers(dataset, method, seed, **changed):
    return [
        cell(method, m.id, exact(0.5, 0.02, seed=seed + i), dataset, **changed) for i, m in enumerate(METRICS)
    ]


def test_below_six_data_sets_pairs_are_tested_on_each_with_the_corrected_test():
    found = evidence(*numbers("ml2000", "M3LA", 1), *numbers("ml2000", "BR", 50))
    tests, problems = paired_tests(found, ["M3LA", "BR"], ["ml2000"])
    assert not problems
    assert len(tests) == 10
    first = corrected_paired(exact(0.5, 0.02, seed=1) - exact(0.5, 0.02, seed=50))
    assert tests.iloc[0]["p_value"] == pytest.approx(first.p_value)
    assert tests.iloc[0]["n"] == 10


def test_look_alikes_and_incomplete_rows_enter_no_test_and_are_named():
    cells = [
        *numbers("ml2000", "M3LA", 1),
        *numbers("ml2000", "BR", 50),
        *(frame[frame["seed"] < 9] for frame in numbers("ml2000", "CC", 90)),
        *numbers("msra", "M3LA", 1, provenance="look-alike"),
        *numbers("msra", "BR", 1, provenance="look-alike"),
    ]
    tests, problems = paired_tests(evidence(*cells), ["M3LA", "BR", "CC"], ["ml2000", "msra"])
    assert set(tests["dataset"]) == {"ml2000"}
    assert "CC" not in {*tests["first"], *tests["second"]}
    assert "msra: look-alike data" in problems
    assert "CC on ml2000: cannot judge: seed 9 missing" in problems
    means, reasons = usable_means(evidence(*cells), ["M3LA", "BR"], ["ml2000", "msra"], "macro_f1")
    assert list(means.index) == ["ml2000"]
    assert reasons == {"msra": "look-alike data"}


def test_a_few_equal_differences_are_no_certainty():
    values = np.linspace(0.4, 0.6, 10)
    cells = [
        frame
        for metric in METRICS
        for frame in (cell("M3LA", metric.id, values), cell("BR", metric.id, values - 0.015))
    ]
    few = evidence(*(frame[frame["seed"] < 3] for frame in cells), seeds=(0, 1, 2))
    tests, problems = paired_tests(few, ["M3LA", "BR"], ["ml2000"])
    assert tests.empty
    assert "M3LA and BR on ml2000: cannot judge: they differ by +0.0150 on each of 3 seeds" in problems[0]
    tests, problems = paired_tests(evidence(*cells), ["M3LA", "BR"], ["ml2000"])
    assert not problems
    assert set(tests["p_value"]) == {0.0}


def test_the_correction_takes_the_rows_of_a_profile_with_caps():
    found = evidence(
        *numbers("ml2000", "M3LA", 1), *numbers("ml2000", "BR", 50), split_sizes={"ml2000": (200, 80)}
    )
    tests, _ = paired_tests(found, ["M3LA", "BR"], ["ml2000"])
    by_hand = corrected_paired(exact(0.5, 0.02, seed=1) - exact(0.5, 0.02, seed=50), 80 / 200)
    assert tests.iloc[0]["p_value"] == pytest.approx(by_hand.p_value)


def test_a_reconstruction_gives_no_mean_to_rank():
    lost = tuple(replace(spec, reconstructed=spec.id == "CC") for spec in METHODS)
    found = evidence(*numbers("ml2000", "BR", 1), *numbers("ml2000", "CC", 50), methods=lost)
    means, reasons = usable_means(found, ["BR", "CC"], ["ml2000"], "macro_f1")
    assert means.empty
    assert "reconstructed" in reasons["ml2000"]


def test_the_text_names_which_rows_enter_and_which_do_not_and_the_diagram_is_drawn(tmp_path):
    scored = tuple(MethodSpec(name, Specs.Mine, scoring="hard") for name in DEMSAR.columns[:1])
    found = Significance(
        replace(evidence(), methods=scored),
        tuple(DEMSAR.columns),
        further_rows=("BR-fair",),
        reconstructed=("CS3G",),
        rank_tests=(rank_test(DEMSAR, "macro_auc"),),
    )
    text = significance_text(found)
    assert found.scored_from_predictions == ("C4.5",)
    for named in ("C4.5+m+cf", "BR-fair", "CS3G", "0/1 predictions", "3.14"):
        assert named in text
    assert write_significance(found, tmp_path)[-1] == "critical_difference_macro_auc.svg"
    assert (tmp_path / "critical_difference_macro_auc.svg").read_text().lstrip().startswith("<?xml")
    written = pd.read_csv(tmp_path / "significance.csv").set_index("method")
    assert written["mean_rank"].to_dict() == pytest.approx(
        {"C4.5": 3.143, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}, abs=5e-4
    )
